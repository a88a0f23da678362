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

// maxMessage leaves room for the other fields and for JSON's escapes of control characters, which
// have up to six bytes each.
const maxMessage = 512

// Report writes the result as the container's termination message.
func Report(path string, result contract.RetentionResult) error {
	result.Reason, result.Message = clip(result.Reason, 64), clip(result.Message, maxMessage)
	return report(path, result)
}

// ReportKeeper is Report for the keeper.
func ReportKeeper(path string, result contract.KeeperResult) error {
	result.Reason, result.Message = clip(result.Reason, 64), clip(result.Message, maxMessage)
	return report(path, result)
}

func clip(s string, limit int) string { return strings.ToValidUTF8(s[:min(len(s), limit)], "") }

func report(path string, result any) error {
	text, err := encode(result)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	return nil
}

func encode(result any) ([]byte, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	if len(text) > maxReport {
		return nil, fmt.Errorf("the result has %d bytes, more than a termination message may", len(text))
	}
	return text, nil
}
