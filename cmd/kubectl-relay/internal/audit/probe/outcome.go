package probe

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
)

// outcomes are those of checks.
type outcomes map[audit.ID]audit.Outcome

// Outcomes, as sentences.

func kept(format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.Kept, Detail: fmt.Sprintf(format, args...)}
}

func byDesign(detail string) audit.Outcome {
	return audit.Outcome{State: audit.ByDesign, Detail: detail}
}

func notTried(format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.NotTried, Detail: fmt.Sprintf(format, args...)}
}

func broken(remedy, format string, args ...any) audit.Outcome {
	return audit.Outcome{State: audit.Broken, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// unread is the outcome of a check for which something could not be read.
func unread(what string, err error) audit.Outcome {
	why := permission.Missing(err)
	switch {
	case why != "":
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer in time"
	case apierrors.IsNotFound(err):
		why = "it is not there"
	default:
		why = err.Error()
	}
	return notTried("%s: %s", what, why)
}

// first returns the first outcome that is not kept, or else the last one.
func first(all ...audit.Outcome) audit.Outcome {
	for _, state := range []audit.State{audit.Broken, audit.NotTried, audit.ByDesign} {
		for _, o := range all {
			if o.State == state {
				return o
			}
		}
	}
	return all[len(all)-1]
}
