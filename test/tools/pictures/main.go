// Command pictures draws Graphviz' DOT files as SVG, each beside its source. It must not know what they show.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-graphviz"
)

func main() {
	ctx := context.Background()
	for _, path := range os.Args[1:] {
		if err := draw(ctx, path); err != nil {
			fmt.Fprintf(os.Stderr, "pictures: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

// draw writes the SVG of a DOT file.
func draw(ctx context.Context, path string) error {
	name, ok := strings.CutSuffix(path, ".dot")
	if !ok {
		return fmt.Errorf("not a DOT file: its name must end in .dot")
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	graph, err := graphviz.ParseBytes(source)
	if err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	layout, err := graphviz.New(ctx)
	if err != nil {
		return fmt.Errorf("starting Graphviz: %w", err)
	}
	defer func() { _ = layout.Close() }()
	var svg bytes.Buffer
	if err := layout.Render(ctx, graph, graphviz.SVG, &svg); err != nil {
		return fmt.Errorf("drawing it: %w", err)
	}
	return os.WriteFile(name+".svg", svg.Bytes(), 0o644)
}
