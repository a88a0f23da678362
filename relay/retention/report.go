package retention

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// maxReport is how much of a termination message Kubernetes keeps.
const maxReport = 4096

// maxMessage leaves room for the other fields and for JSON's escapes of control
// characters, each of up to six bytes.
const maxMessage = 512

// Report writes the result as the container's termination message.
func Report(path string, result contract.RetentionResult) error {
	text, err := encode(result)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	return nil
}

func encode(result contract.RetentionResult) ([]byte, error) {
	result.Reason = strings.ToValidUTF8(result.Reason[:min(len(result.Reason), 64)], "")
	result.Message = strings.ToValidUTF8(result.Message[:min(len(result.Message), maxMessage)], "")
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("rendering the result: %w", err)
	}
	if len(text) > maxReport {
		return nil, fmt.Errorf("the result has %d bytes, more than a termination message may", len(text))
	}
	return text, nil
}
