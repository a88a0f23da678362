package lab

import "context"

// Outage stops one of the lab's services and starts it again. The functions are
// idempotent; Restore returns when the service answers again.
type Outage struct {
	Begin   func(context.Context) error
	Restore func(context.Context) error
}

// VaultSealed is the outage of a region's Vault that an admin has to end: it
// answers, and refuses everything until it is unsealed.
func (l *Lab) VaultSealed(ctx context.Context, r *Region) (Outage, error) {
	s, err := l.Vault(ctx, r)
	if err != nil {
		return Outage{}, err
	}
	return Outage{
		Begin:   s.Seal,
		Restore: func(ctx context.Context) error { return waitWith(ctx, s.Wait) }, // which unseals
	}, nil
}

// ProsodyAway is the outage of a region's carrier.
func (l *Lab) ProsodyAway(r *Region) (Outage, error) {
	s, err := l.prosody(r)
	if err != nil {
		return Outage{}, err
	}
	return l.processAway(prosodyProcess(r), s.Wait), nil
}

// WebhookAway is the outage of what a business takes its messages with.
func (l *Lab) WebhookAway(b *Business) Outage {
	return l.processAway(webhookProcess(b), func(ctx context.Context) error { return l.answers(ctx, l.WebhookURL(b)) })
}

// APIServerAway is the outage of the cluster's API server.
func (l *Lab) APIServerAway() Outage {
	return Outage{
		Begin: func(ctx context.Context) error {
			_, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"end", "kube-apiserver"}, quiet: true})
			return err
		},
		Restore: func(ctx context.Context) error { // up returns when it answers
			_, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"up"}, quiet: true})
			return err
		},
	}
}

func (l *Lab) processAway(name string, answers func(context.Context) error) Outage {
	return Outage{
		Begin: func(ctx context.Context) error { return l.keeper.Stop(ctx, name) },
		Restore: func(ctx context.Context) error {
			if err := l.keeper.Restart(ctx, name); err != nil {
				return err
			}
			return waitWith(ctx, answers)
		},
	}
}

// Running reports whether the environment, or some of it, was brought up and not
// taken down since.
func (l *Lab) Running() bool {
	for _, r := range regions() {
		if l.keeper.Running(vaultProcess(r)) {
			return true
		}
	}
	return false
}
