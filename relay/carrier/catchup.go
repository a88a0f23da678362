package carrier

import "context"

// CatchUpHandler is a Handler that also wants to know when what waited for it has come.
type CatchUpHandler interface {
	Handler
	// CaughtUp says that everything came which the carrier had kept until the link that
	// Connected last told of was up, from its archive, too. A link that is resumed has
	// caught up as far as the one before it had.
	CaughtUp(ctx context.Context) error
}
