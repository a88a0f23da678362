package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/test/cluster/internal/build"
	"github.com/relaykeep/relaykeep/test/cluster/internal/cluster"
	"github.com/relaykeep/relaykeep/test/cluster/internal/gateway"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
)

// invocation is one call of a command.
type invocation struct {
	name  string
	cache *build.Cache
	// state is the directory of the cluster's state.
	state string
	args  []string
	// out is for results, progress for people.
	out, progress io.Writer
}

// verb is a command.
type verb struct {
	name, arguments, summary string
	// own tells that all that follows the name is the command's own, flags included.
	own bool
	run func(ctx context.Context, i invocation) error
}

// verbs are the commands, as help lists them.
func verbs() []verb {
	return []verb{
		{name: "up", summary: "build what is missing, start the cluster or mend it; the last line is KUBECONFIG=<path>", run: up},
		{name: "down", summary: "end the cluster and all that it made, but its logs", run: down},
		{name: "end", arguments: "PROCESS", summary: "end one of the cluster's processes, which up starts again; status names them", run: end},
		{name: "status", summary: "say what runs; fails when not all of it does", run: status},
		{name: "load", arguments: "IMAGE.tar...", summary: "import image archives into both nodes", run: load},
		{name: "kubectl", arguments: "ARGS...", summary: "run kubectl as the cluster's administrator", own: true, run: kubectl},
		{name: "gateway", arguments: "NAMESPACE/NAME ADDRESS [OBJECTS]", summary: "serve a Gateway with the machine's HAProxy at an address, until ended; its objects are the cluster's, or those in a file", run: serveGateway},
		{name: "binary", arguments: "NAME", summary: "build a program if needed; the last line is its path", run: binary},
		{name: "binaries", summary: "build every program", run: binaries},
		{name: "fetch", summary: "download what the programs are built from, and build nothing", run: fetch},
		{
			name: "packages", arguments: "[FURTHER...]", run: packages,
			summary: "install the Debian packages that are missing, or say which they are and fail",
		},
	}
}

func usage() string {
	var b strings.Builder
	b.WriteString("usage: cluster COMMAND [--state DIR] [ARGUMENTS]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-22s %s\n", strings.TrimSpace(v.name+" "+v.arguments), v.summary)
	}
	fmt.Fprintf(&b, "\nprograms: %s\n", strings.Join(build.Names(), " "))
	return b.String()
}

// run does what the arguments ask for.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		fmt.Print(usage())
		return nil
	}
	i := slices.IndexFunc(verbs(), func(v verb) bool { return v.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no command is called %q: see cluster help", args[0])
	}
	v := verbs()[i]
	root, err := repository()
	if err != nil {
		return err
	}
	state, rest, err := flags(v, filepath.Join(root, ".cluster"), args[1:])
	if err != nil {
		return err
	}
	if err := host.SetPath(); err != nil {
		return err
	}
	dir, err := build.DefaultDir()
	if err != nil {
		return err
	}
	sources := filepath.Join(root, "test", "cluster", "binaries")
	return v.run(ctx, invocation{
		name: v.name, state: state, args: rest, out: os.Stdout, progress: os.Stderr,
		cache: &build.Cache{Dir: dir, Sources: sources, Report: os.Stderr},
	})
}

// flags takes the flags out of a command's arguments.
func flags(v verb, defaultState string, args []string) (state string, rest []string, err error) {
	set := flag.NewFlagSet(v.name, flag.ContinueOnError)
	set.StringVar(&state, "state", defaultState, "the directory of the cluster's state")
	if v.own {
		return defaultState, args, nil
	}
	if err := set.Parse(args); err != nil {
		return "", nil, err
	}
	if v.arguments == "" && set.NArg() > 0 {
		return "", nil, fmt.Errorf("%s takes no arguments", v.name)
	}
	return state, set.Args(), nil
}

func (i invocation) cluster() (*cluster.Cluster, error) {
	return cluster.New(i.state, i.cache, i.progress)
}

func up(ctx context.Context, i invocation) error {
	c, err := i.cluster()
	if err != nil {
		return err
	}
	if err := c.Up(ctx); err != nil {
		return err
	}
	fmt.Fprintf(i.out, "KUBECONFIG=%s\n", c.Kubeconfig())
	return nil
}

func down(ctx context.Context, i invocation) error {
	c, err := i.cluster()
	if err != nil {
		return err
	}
	return c.Down(ctx)
}

func end(ctx context.Context, i invocation) error {
	if len(i.args) != 1 {
		return errors.New("end needs the name of a process: see cluster status")
	}
	c, err := i.cluster()
	if err != nil {
		return err
	}
	return c.End(ctx, i.args[0])
}

func status(ctx context.Context, i invocation) error {
	c, err := i.cluster()
	if err != nil {
		return err
	}
	return c.Status(ctx, i.out)
}

func load(ctx context.Context, i invocation) error {
	if len(i.args) == 0 {
		return errors.New("load needs the paths of image archives")
	}
	c, err := i.cluster()
	if err != nil {
		return err
	}
	return c.Load(ctx, i.args)
}

func kubectl(ctx context.Context, i invocation) error {
	path, err := i.cache.Path(ctx, "kubectl")
	if err != nil {
		return err
	}
	c, err := i.cluster()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, i.args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &runError{exit}
	}
	return err
}

// serveGateway serves a Gateway and its routes, as they are applied, or as a file has them.
func serveGateway(ctx context.Context, i invocation) error {
	if len(i.args) != 2 && len(i.args) != 3 {
		return errors.New("gateway needs a Gateway as namespace/name, and the address to listen at")
	}
	namespace, name, ok := strings.Cut(i.args[0], "/")
	if !ok || net.ParseIP(i.args[1]) == nil {
		return fmt.Errorf("%s is no namespace/name, or %s no address", i.args[0], i.args[1])
	}
	if err := gateway.Installed(); err != nil {
		return err
	}
	r := gateway.Runner{
		Name:    gateway.Key{Namespace: namespace, Name: name},
		Options: gateway.Options{Address: i.args[1], Dir: filepath.Join(i.state, "gateway-"+namespace+"-"+name)},
		Log:     i.progress,
	}
	if len(i.args) == 3 {
		r.Objects = gateway.File(i.args[2])
		return r.Run(ctx)
	}
	path, err := i.cache.Path(ctx, "kubectl")
	if err != nil {
		return err
	}
	c, err := i.cluster()
	if err != nil {
		return err
	}
	r.Objects = gateway.Cluster(func(ctx context.Context, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
		out, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("kubectl %s: %w: %s", args[0], err, exit.Stderr)
		}
		return out, err
	})
	return r.Run(ctx)
}

func binary(ctx context.Context, i invocation) error {
	if len(i.args) != 1 {
		return fmt.Errorf("binary needs the name of a program: %s", strings.Join(build.Names(), ", "))
	}
	path, err := i.cache.Path(ctx, i.args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(i.out, path)
	return nil
}

func binaries(ctx context.Context, i invocation) error {
	paths, err := i.cache.Ensure(ctx, build.Catalogue())
	if err != nil {
		return err
	}
	for _, s := range build.Catalogue() {
		fmt.Fprintln(i.out, paths[s.Name])
	}
	return nil
}

func fetch(ctx context.Context, i invocation) error { return i.cache.Fetch(ctx, build.Catalogue()) }

func packages(ctx context.Context, i invocation) error {
	return host.Install(ctx, i.progress, i.args)
}
