package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/cluster/internal/build"
)

const usage = `usage: cluster COMMAND

  binary NAME        build the program if needed and print where it is
  binaries           build every program
`

// run does what the arguments ask for.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command")
	}
	root, err := repository()
	if err != nil {
		return err
	}
	dir, err := build.DefaultDir()
	if err != nil {
		return err
	}
	cache := &build.Cache{Dir: dir, Sources: filepath.Join(root, "test", "cluster", "binaries"), Report: os.Stderr}
	switch args[0] {
	case "binary":
		path, err := cache.Path(ctx, args[1])
		if err != nil {
			return err
		}
		fmt.Println(path)
		return nil
	case "binaries":
		_, err := cache.Ensure(ctx, build.Catalogue())
		return err
	default:
		return fmt.Errorf("no command is called %q", args[0])
	}
}
