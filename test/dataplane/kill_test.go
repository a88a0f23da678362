package dataplane_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// childVariable makes the test binary a relay's process: its value is the folder
// with the configuration.
const childVariable = "RELAYKEEP_TEST_RELAY"

// child is the relay's process. It says where it listens on standard output.
func child(dir string) {
	path := filepath.Join(dir, "relay.json")
	file, err := config.Load(path)
	if err == nil {
		err = runChild(dir, path, config.Arguments{Vault: file.Vault, Carrier: file.Carrier})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func runChild(dir, path string, args config.Arguments) error {
	return serve.Run(context.Background(), serve.Options{
		ConfigPath: path, Arguments: args, Version: "test",
		Log:     slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		DataDir: filepath.Join(dir, "data"), TokenPath: filepath.Join(dir, "token"),
		EndpointAddr: "127.0.0.1:0", StatusAddr: "127.0.0.1:0",
		Listening: func(name string, a net.Addr) { fmt.Println(name, a) },
	})
}

// startProcess runs the relay as a process of its own until kill.
func (b *business) startProcess() (kill func()) {
	b.t.Helper()
	raw, err := json.Marshal(b.config)
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(b.dir, "relay.json"), raw, 0o600))
	token, err := shared.kube.Token(b.t.Context(), b.namespace, "acme-relay", contract.AudienceRelay("eu"))
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(b.dir, "token"), []byte(token), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+b.dir)
	cmd.Stderr = &b.log
	out, err := cmd.StdoutPipe()
	check(b.t, err)
	check(b.t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b.t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			b.t.Fatalf("the relay's process ended:\n%s", b.log.bytes())
		}
		name, addr, _ := strings.Cut(lines.Text(), " ")
		b.mu.Lock()
		if name == "status" {
			b.status = "http://" + addr
		} else {
			b.endpoint = addr
		}
		b.mu.Unlock()
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return kill
}

// TestKill_LosesAndDoublesNothing kills the relay's process again and again
// while both sides write, and looks that both have everything once in the end.
func TestKill_LosesAndDoublesNothing(t *testing.T) {
	const rounds, each = 10, 6
	b := newBusiness(t)
	kill := b.startProcess()
	for _, kind := range []string{contract.ConditionKeysReady, contract.ConditionCarrierConnected, contract.ConditionWebhookVerified} {
		b.wait(kind, contract.True, "")
	}
	b.takeCredentials()
	p := newPerson(t)
	c := &chatter{b: b, p: p, ids: map[string]string{}}
	for round := range rounds {
		var wg sync.WaitGroup
		wg.Go(func() { c.customerWrites(round, each) })
		wg.Go(func() { c.businessWrites(round, each) })
		wait := time.NewTimer(time.Duration(20+rand.IntN(300)) * time.Millisecond)
		<-wait.C
		kill()
		kill = b.startProcess()
		wg.Wait()
	}
	c.everythingOnce(rounds * each)
	b.stop = kill
	b.nothingLeaked()
}

// chatter has both sides write, and notes what they were told.
type chatter struct {
	b *business
	p *person

	mu     sync.Mutex // guards the following fields
	ids    map[string]string
	asked  []string // texts of the customer
	unsure []string // texts of the business that may have been accepted twice
}

func (c *chatter) customerWrites(round, n int) {
	to, err := phone.Parse(c.b.number)
	if err != nil {
		c.b.t.Error(err)
		return
	}
	for i := range n {
		text := fmt.Sprintf("customer's text %d of round %d", i, round)
		if _, err := c.p.Send(c.b.t.Context(), to, text); err != nil {
			c.b.t.Errorf("the customer could not send: %v", err)
		}
		c.mu.Lock()
		c.asked = append(c.asked, text)
		c.mu.Unlock()
	}
}

// businessWrites sends texts, each until it is accepted.
func (c *chatter) businessWrites(round, n int) {
	for i := range n {
		text := fmt.Sprintf("business's text %d of round %d", i, round)
		for deadline := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
			id, err := c.b.trySay(c.p.number.E164(), text)
			if err == nil {
				c.mu.Lock()
				c.ids[text] = id
				c.mu.Unlock()
				break
			}
			c.mu.Lock()
			c.unsure = append(c.unsure, text)
			c.mu.Unlock()
			if time.Now().After(deadline) {
				c.b.t.Errorf("the business could not send: %v", err)
				return
			}
		}
	}
}

// trySay sends a text from a goroutine other than the test's.
func (b *business) trySay(to, text string) (id string, err error) {
	body, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "to": to, "text": map[string]string{"body": text}})
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	url := fmt.Sprintf("https://%s/v23.0/%s/messages", b.endpoint, b.numberID)
	b.mu.Unlock()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+b.token)
	response, err := b.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var accepted struct{ Messages []struct{ ID string } }
	if err := json.NewDecoder(response.Body).Decode(&accepted); err != nil || len(accepted.Messages) != 1 {
		return "", errors.New("not accepted: " + response.Status)
	}
	return accepted.Messages[0].ID, nil
}

// everythingOnce waits until everything arrived and looks that nothing did twice.
func (c *chatter) everythingOnce(want int) {
	t := c.b.t
	t.Helper()
	if len(c.asked) != want || len(c.ids) != want {
		t.Errorf("%d and %d texts were sent, want %d each", len(c.asked), len(c.ids), want)
	}
	for _, text := range c.asked {
		c.b.waitText(text)
	}
	for text, id := range c.ids {
		if n := c.p.sees(text); n != 1 && !slices.Contains(c.unsure, text) {
			t.Errorf("the customer has %q %d times", text, n)
		}
		c.b.waitStatus(id, "read")
	}
	copies := map[string]map[string]bool{}
	for _, u := range c.b.updates() {
		if u.Type == "unsupported" {
			t.Error("the business was told of a message that could not be read")
		}
		if u.Type == "text" {
			if copies[u.Text] == nil {
				copies[u.Text] = map[string]bool{}
			}
			copies[u.Text][u.ID] = true
		}
	}
	for text, ids := range copies {
		if len(ids) != 1 {
			t.Errorf("the business has %q as %d messages", text, len(ids))
		}
	}
	if c.p.has(func(e customer.Event) bool { return e.Kind == customer.Unreadable }) {
		t.Error("the customer got a message that could not be read")
	}
	c.b.hidden = append(append(c.b.hidden, c.asked...), c.p.number.Digits())
}
