package story

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// later is beyond any message's life: the retention of 30 days, and a day.
const later = 31 * 24 * time.Hour

func (s *Story) erasure() []Claim {
	return []Claim{
		{"the janitor runs, and has nothing to erase yet", s.janitorToday},
		{"the message's data key still opens", s.keyOpens},
		{"31 days later, the janitor erases the key version in Vault", s.janitorLater},
		{"the message is unreadable for good, for acme itself too", s.keyIsGone},
		{"the relay goes on under a new key", s.goesOn},
	}
}

func (s *Story) janitorToday(ctx context.Context) (string, error) {
	result, err := s.lab.RunJanitor(ctx, lab.Acme, 0)
	if err == nil && result.Erased != 0 {
		err = fmt.Errorf("it erased %d versions", result.Erased)
	}
	return "$ kubectl create job -n acme --from=cronjob/acme-retention …\n" + describe(result), err
}

func (s *Story) janitorLater(ctx context.Context) (string, error) {
	result, err := s.lab.RunJanitor(ctx, lab.Acme, later)
	if err == nil && result.Erased == 0 {
		err = fmt.Errorf("it erased nothing")
	}
	return fmt.Sprintf("the same Job, in the test build of the image, whose clock is %s ahead\n%s", later, describe(result)), err
}

func describe(r contract.RetentionResult) string {
	return fmt.Sprintf("at %s: %d key versions erased, versions %d to %d remain",
		r.Time.Format(time.DateTime), r.Erased, r.OldestVersion, r.LatestVersion)
}

func (s *Story) keyOpens(ctx context.Context) (string, error) { return s.tryKey(ctx, http.StatusOK) }

// keyIsGone wants the answer that Vault gives for a version that is no more.
func (s *Story) keyIsGone(ctx context.Context) (string, error) {
	still, err := s.lab.SealedMessage(ctx, lab.Acme, s.received.ID)
	if err != nil {
		return "", err
	}
	evidence, err := s.tryKey(ctx, http.StatusBadRequest)
	return fmt.Sprintf("its %d sealed bytes are still on the volume, and nobody can open them\n%s", still.Bytes, evidence), err
}

func (s *Story) tryKey(ctx context.Context, want int) (string, error) {
	login, err := s.login(ctx, lab.Acme)
	if err != nil {
		return "", err
	}
	got, err := lab.Unwrap(ctx, login, lab.Acme, s.sealed.Wrapped)
	if err == nil && got != want {
		err = fmt.Errorf("the answer of Vault is %d, want %d", got, want)
	}
	return fmt.Sprintf("write transit/decrypt/%s, version %s, as acme: %d %s", lab.Acme.WrappingKey(), s.sealed.Version(), got, http.StatusText(got)), err
}

// goesOn shows that only the past is lost. The sessions have died with the key, as
// they should, so acme's next message begins a new one.
func (s *Story) goesOn(ctx context.Context) (string, error) {
	if err := s.lab.RestartRelay(ctx, lab.Acme); err != nil {
		return "", err
	}
	script, err := s.lab.ReplyScript(ctx, lab.Acme, s.customer.Digits(), s.farewell())
	if err != nil {
		return "", err
	}
	if _, err := s.lab.Shell(ctx, script); err != nil {
		return "", err
	}
	if s.chat, err = s.begin("", 1); err != nil {
		return "", err
	}
	seen, err := s.chat.Next(ctx)
	if err != nil {
		return "", err
	}
	if err := s.chat.Wait(ctx); err != nil {
		return "", err
	}
	if s.chat, err = s.begin(s.thanks(), 0); err != nil {
		return "", err
	}
	m, err := s.inbox.Wait(ctx, "the customer's thanks", func(m webhooktest.Update) bool { return m.Text == s.thanks() })
	return fmt.Sprintf("acme's relay is restarted\n<- %s\n%s wrote %q", seen, m.From, m.Text), err
}

func (s *Story) farewell() string { return "Thank you for order " + s.mark + "." }
func (s *Story) thanks() string   { return "You are welcome, and so is order " + s.mark + "." }
