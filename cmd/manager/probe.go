package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Patience of a probe: for the whole, for one request, and between two. A new pod's network policies and the Service's name need
// some seconds.
const (
	probeTime  = time.Minute
	probeOnce  = 5 * time.Second
	probePause = time.Second
)

// maxProbe bounds what is read of an answer, in bytes.
const maxProbe = 512

// probe asks a URL until it answers 200, for a minute at most: what `helm test` runs to see whether an operator is ready. The
// image has no other program that could ask.
func probe(ctx context.Context, args []string, pause time.Duration, out io.Writer) error {
	f := flag.NewFlagSet("manager probe", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = fmt.Fprintln(out, "manager probe URL asks a URL, such as an operator's /readyz, until it answers 200.")
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	target, err := url.Parse(f.Arg(0))
	if f.NArg() != 1 || err != nil || target.Scheme != "http" || target.Host == "" {
		return errors.New("write manager probe http://HOST:PORT/PATH")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for {
		err := ask(ctx, target.String())
		if err == nil {
			_, err := fmt.Fprintf(out, "%s answers 200\n", target)
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func ask(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, probeOnce)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", target, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking whether the operator is ready: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProbe))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", target, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %q", target, answer.Status, text)
	}
	return nil
}
