// Command probe is what tests run inside pods: a web server, and a client that tells by its exit status what it reaches. Debian's
// busybox is no replacement: its static resolver crashes.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const usage = `usage: probe serve [-answer TEXT | -directory DIR] ADDRESS
       probe get [-timeout 2s] [-insecure] [-header "NAME: VALUE"] URL
       probe dial [-timeout 2s] ADDRESS
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	commands := map[string]func([]string) error{"serve": serve, "get": get, "dial": dial}
	command, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// parse reads flags and returns the one argument after them.
func parse(set *flag.FlagSet, args []string) (string, error) {
	if err := set.Parse(args); err != nil {
		return "", err
	}
	if set.NArg() != 1 {
		return "", errors.New(usage)
	}
	return set.Arg(0), nil
}

func serve(args []string) error {
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	answer := set.String("answer", "here", "what every request is answered")
	directory := set.String("directory", "", "the directory whose files are served instead")
	address, err := parse(set, args)
	if err != nil {
		return err
	}
	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, *answer) }))
	if *directory != "" {
		handler = http.FileServer(http.Dir(*directory))
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

func get(args []string) error {
	set := flag.NewFlagSet("get", flag.ContinueOnError)
	timeout := set.Duration("timeout", 2*time.Second, "how long it may take in all")
	insecure := set.Bool("insecure", false, "do not verify the server's certificate")
	header := set.String("header", "", "a header to send, as in HTTP")
	url, err := parse(set, args)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if name, value, ok := strings.Cut(*header, ":"); ok {
		request.Header.Set(name, strings.TrimSpace(value))
	}
	client := &http.Client{Timeout: *timeout, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: *insecure},
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, io.LimitReader(response.Body, 1<<20)); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return errors.New(response.Status)
	}
	return nil
}

func dial(args []string) error {
	set := flag.NewFlagSet("dial", flag.ContinueOnError)
	timeout := set.Duration("timeout", 2*time.Second, "how long it may take")
	address, err := parse(set, args)
	if err != nil {
		return err
	}
	connection, err := net.DialTimeout("tcp", address, *timeout)
	if err != nil {
		return err
	}
	return connection.Close()
}
