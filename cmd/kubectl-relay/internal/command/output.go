package command

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// textOrJSON is the flag -o of a command that prints for people, or for programs.
type textOrJSON string

const asJSON textOrJSON = "json"

func (o *textOrJSON) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(o), "output", "o", "text", "output format: text or json")
	completeWords(cmd, "output", "text", string(asJSON))
}

func (o *textOrJSON) check(cmd *cobra.Command) error {
	if *o != "text" && *o != asJSON {
		return usage(cmd, "unknown output %q: write text or json", string(*o))
	}
	return nil
}

// writeJSON writes a value as indented JSON.
func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
