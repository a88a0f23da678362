package command

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/test/docs"
)

// TestDocuments_NameCommandsThatExist parses each `kubectl relay` of the documents as the plugin would: commands and flags must
// exist, and in blocks the arguments must be as many as the command takes.
func TestDocuments_NameCommandsThatExist(t *testing.T) {
	all, err := docs.Commands(filepath.Join("..", "..", "..", ".."), "kubectl", "kubectl-relay")
	check(t, err)
	blocks, sentences := 0, 0
	for _, c := range all {
		args := c.Words[1:]
		if c.Words[0] == "kubectl" {
			if len(args) == 0 || args[0] != "relay" {
				continue
			}
			args = args[1:]
		}
		if c.Whole {
			blocks++
		} else {
			sentences++
		}
		if complaint := understand(args, c.Whole); complaint != "" {
			t.Errorf("%s: %s: %s", c.Where, strings.Join(c.Words, " "), complaint)
		}
	}
	if blocks < 20 || sentences < 100 {
		t.Errorf("found %d commands in blocks and %d in sentences only", blocks, sentences)
	}
}

// understand says what is wrong with a command line, or nothing. One that is not whole may lack arguments.
func understand(args []string, whole bool) string {
	root := New(genericiooptions.NewTestIOStreamsDiscard(), "dev")
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err.Error()
	}
	if cmd == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "there is no such command"
	}
	// audit takes a relay, and has commands of its own.
	if cmd.HasSubCommands() && cmd != root && cmd.Name() != "audit" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "there is no such command of " + cmd.CommandPath()
	}
	cmd.InitDefaultHelpFlag()
	if cmd == root {
		cmd.InitDefaultVersionFlag()
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if !whole || asksForHelp(cmd) {
		return ""
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err.Error()
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err.Error()
	}
	return ""
}

func asksForHelp(cmd *cobra.Command) bool {
	help, err := cmd.Flags().GetBool("help")
	return err == nil && help
}

func TestDocuments_WrongCommandsAreNoticed(t *testing.T) {
	for line, want := range map[string]string{
		"statsu":                      "no such command",
		"setup vaultt":                "no such command",
		"status --wide":               "unknown flag",
		"token create acme --purpose": "unknown flag",
		"invite":                      "give one BusinessRelay",
	} {
		if got := understand(strings.Fields(line), true); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for _, line := range []string{"status -A", "setup vault --region eu", "--help", "check region/eu", "chat --as +491701234567 --to +4930111111"} {
		if got := understand(strings.Fields(line), true); got != "" {
			t.Errorf("%s: %s", line, got)
		}
	}
}
