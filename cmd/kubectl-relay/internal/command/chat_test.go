package command

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

const (
	shopNumber  = "+4930111111"
	buyerNumber = "+491702222222"
)

// startServer runs a Prosody where anybody may register, and returns the flags
// that lead there.
func startServer(t *testing.T) (*prosody.Server, []string) {
	t.Helper()
	server := prosody.StartT(t, prosody.Options{Registration: true})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, server.CAPEM, 0o600))
	return server, []string{"--domain", server.Domain, "--server", server.Addr, "--ca", ca}
}

// startShop answers every message that it gets with the text that answer returns,
// until the test ends. Its receipts leave before its answer: a chat that ends with the
// answer has seen them.
func startShop(t *testing.T, server *prosody.Server, answer func(string) string) {
	t.Helper()
	startShopThat(t, server, func(ctx context.Context, shop *customer.Customer, e customer.Event) {
		_, _ = shop.Send(ctx, e.Peer, answer(e.Text)) // a lost answer fails the test
	})
}

// startShopThat is startShop with anything for an answer.
func startShopThat(t *testing.T, server *prosody.Server, answer func(context.Context, *customer.Customer, customer.Event)) {
	t.Helper()
	shop, received := customers.Start(t, server, shopNumber), make(chan customer.Event, 10)
	shop.Listen(func(e customer.Event) {
		if e.Kind == customer.Received {
			received <- e
		}
	})
	over := make(chan struct{})
	var answering sync.WaitGroup
	answering.Go(func() {
		for {
			select {
			case e := <-received:
				ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
				_ = shop.Flush(ctx)
				answer(ctx, shop.Customer, e)
				cancel()
			case <-over:
				return
			}
		}
	})
	t.Cleanup(func() { // an answer that the chat has seen may still wait for the server's acknowledgement
		close(over)
		answering.Wait()
	})
}

// runChatOnce runs the command as a filter.
func runChatOnce(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	root := New(genericiooptions.IOStreams{In: io.Reader(strings.NewReader(input)), Out: &out, ErrOut: &errOut}, "dev")
	root.SetArgs(append([]string{"chat", "--as", buyerNumber, "--to", shopNumber}, args...))
	err = root.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

func TestChatIsAFilter(t *testing.T) {
	server, where := startServer(t)
	startShop(t, server, func(text string) string { return "you said: " + text + "\nanything else?\x1b[2J" })
	where = append(where, "--state-dir", filepath.Join(t.TempDir(), "state"))

	out, notes, err := runChatOnce(t, "hello\n\nare you open?\n", append(where, "--register", "--expect", "2", "--wait", "1m")...)
	check(t, err)
	want := "<- you said: hello\n   anything else?\uFFFD[2J\n<- you said: are you open?\n   anything else?\uFFFD[2J\n"
	if out != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out, want)
	}
	for _, note := range []string{"#1 ✓ sent", "#2 ✓ sent", "#1 ✓✓ delivered", "#1 ✓✓ read"} {
		if !strings.Contains(notes, note+"\n") {
			t.Errorf("no note %q in:\n%s", note, notes)
		}
	}
	// The account, its device and the session are kept: no --register is needed.
	out, _, err = runChatOnce(t, "me again\n", append(where, "--expect", "1", "--wait", "1m")...)
	check(t, err)
	if !strings.HasPrefix(out, "<- you said: me again\n") {
		t.Errorf("the second time printed %q", out)
	}
}

func TestChatWithoutTheExpectedAnswersExits3(t *testing.T) {
	server, where := startServer(t)
	startShop(t, server, func(text string) string { return text })
	where = append(where, "--state-dir", filepath.Join(t.TempDir(), "state"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	input, typed := io.Pipe()
	shown, out := io.Pipe()
	defer shown.Close()
	go func() {
		_, _ = io.WriteString(typed, "one\n")
		_, _ = bufio.NewReader(shown).ReadString('\n') // the waiting begins when the one answer is there
		_ = typed.Close()
	}()
	root := New(genericiooptions.IOStreams{In: input, Out: out, ErrOut: io.Discard}, "dev")
	root.SetArgs(append([]string{"chat", "--as", buyerNumber, "--to", shopNumber}, append(where, "--register", "--expect", "2", "--wait", "10ms")...))
	err := root.ExecuteContext(ctx)
	if exit.Code(err) != exit.NotSeen || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("exit %d, error %v; want exit %d", exit.Code(err), err, exit.NotSeen)
	}
}

func TestChatSaysWhatToDo(t *testing.T) {
	_, where := startServer(t)
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"when the account is unknown":      {nil, exit.Refused, "add --register"},
		"when nobody has that number":      {[]string{"--register"}, exit.Failed, "check with kubectl get brelay -A"},
		"when the state is another's":      {[]string{"--as", shopNumber}, exit.Failed, "belongs to another number"},
		"when a file is not there":         {[]string{"--ca", "/nonexistent"}, exit.Failed, "reading --ca"},
		"when the password is not there":   {[]string{"--password-file", "/nonexistent"}, exit.Failed, "--password-file"},
		"when there is no cluster to read": {[]string{"--domain", "", "--kubeconfig", "/nonexistent"}, exit.Failed, "give the server with --domain"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if name == "when the state is another's" {
				number, err := phone.Parse(buyerNumber)
				check(t, err)
				state, err := customer.OpenState(dir, number)
				check(t, err)
				check(t, state.Close())
			}
			_, _, err := runChatOnce(t, "hello\n", append(append(where, "--state-dir", dir), tt.args...)...)
			if exit.Code(err) != tt.code || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("exit %d, error %v; want exit %d and %q", exit.Code(err), err, tt.code, tt.want)
			}
		})
	}
}

func TestChatTakesOverAnExistingAccount(t *testing.T) {
	server, where := startServer(t)
	startShop(t, server, func(text string) string { return text })
	check(t, server.AddAccount(t.Context(), buyerNumber, "the owner's password"))
	file := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(file, []byte("the owner's password\n"), 0o600))
	out, _, err := runChatOnce(t, "hello\n", append(where, "--state-dir", filepath.Join(t.TempDir(), "state"), "--password-file", file, "--expect", "1")...)
	check(t, err)
	if out != "<- hello\n" {
		t.Errorf("printed %q", out)
	}
}
