package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/await"
)

// TestMain lets the test binary be the relay's process, as the program does itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == relayCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestRunRelay_CallsAsPrintedReachTheRelayAndNothingIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("runs servers, and -short asks for none")
	}
	dir, err := os.MkdirTemp("", "run") //nolint:usetesting // a short one: Vault's plugins have sockets below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var printed bytes.Buffer
	out := &lines{to: &printed}
	text := func() string {
		out.mu.Lock()
		defer out.mu.Unlock()
		return printed.String()
	}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, out) }()
	await.Until(t, "it says how to use the relay", func() bool {
		if len(ended) > 0 {
			t.Fatal(<-ended)
		}
		return strings.Contains(text(), "Ctrl-C")
	})
	call := regexp.MustCompile(`(?m)^curl .*$`).FindString(text())
	answer, err := exec.CommandContext(t.Context(), "sh", "-c", call).Output()
	if err != nil {
		t.Fatalf("the printed call: %v", err)
	}
	var sent struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal(answer, &sent); err != nil || len(sent.Messages) != 1 {
		t.Fatalf("the endpoint answered %s, %v", answer, err)
	}
	await.Until(t, "a status of the message is printed", func() bool {
		return regexp.MustCompile(`(?m)^webhook: .*` + regexp.QuoteMeta(sent.Messages[0].ID)).MatchString(text())
	})
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("interrupted, it ended with %v", err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
