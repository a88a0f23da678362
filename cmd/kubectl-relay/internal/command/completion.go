package command

import (
	_ "embed" // a script
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// CompletionProgram is the program that kubectl runs to complete what follows `kubectl relay`.
const CompletionProgram = "kubectl_complete-relay"

// completionScript is CompletionProgram for systems with a POSIX shell. Releases have the file beside the plugin.
//
//go:embed kubectl_complete-relay
var completionScript string

// Args returns the arguments of a process that was started with argv: one that bears the name by which kubectl looks for
// completion completes.
func Args(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	if strings.TrimSuffix(filepath.Base(argv[0]), ".exe") == CompletionProgram {
		return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
	}
	return argv[1:]
}

// shells returns what prints completion for each kind of shell, and for kubectl.
func shells() map[string]func(*cobra.Command, io.Writer) error {
	return map[string]func(*cobra.Command, io.Writer) error{
		"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
		"zsh":        (*cobra.Command).GenZshCompletion,
		"kubectl": func(_ *cobra.Command, w io.Writer) error {
			_, err := io.WriteString(w, completionScript)
			return err
		},
	}
}

// shellNames are the arguments of completion, in order.
func shellNames() []string { return []string{"bash", "fish", "kubectl", "powershell", "zsh"} }

func newCompletion(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|fish|kubectl|powershell|zsh",
		Short: "Print a script that completes commands in a shell",
		Long: `Print a script that completes commands, flags and the names of relays, regions, namespaces and
contexts. Names come from the cluster, within two seconds or not at all; customers are never completed.

kubectl: for "kubectl relay", in every shell in which kubectl itself completes (kubectl completion
--help). kubectl runs a program of the name ` + CompletionProgram + ` that it finds in the PATH:
the script that is printed. Releases have it beside kubectl-relay; krew does not install it. On
Windows, copy kubectl-relay.exe to ` + CompletionProgram + `.exe instead.

bash, fish, powershell, zsh: for the program's own name, "kubectl-relay", without kubectl.`,
		Example: `  # kubectl relay, with any shell
  kubectl relay completion kubectl > ~/.local/bin/` + CompletionProgram + `
  chmod +x ~/.local/bin/` + CompletionProgram + `

  # kubectl-relay, in this bash
  source <(kubectl relay completion bash)`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shellNames(), args[0]) {
				return usage(cmd, "give one of %s", strings.Join(shellNames(), ", "))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(shellNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := shells()[args[0]](cmd.Root(), streams.Out); err != nil {
				return fmt.Errorf("printing the completion for %s: %w", args[0], err)
			}
			return nil
		},
	}
}
