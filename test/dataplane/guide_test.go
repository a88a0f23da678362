package dataplane_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/await"
)

// guideProgram finds a program of the guide: its file's name and what it is.
var guideProgram = regexp.MustCompile("(?s)<!-- ([a-z]+\\.[a-z]+) -->\n```[a-z]+\n(.*?)```\n")

// guide writes the programs of the developers' guide into a folder, and returns how to run each.
func guide(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "developers.md"))
	check(t, err)
	dir := t.TempDir()
	run := map[string][]string{}
	for _, m := range guideProgram.FindAllStringSubmatch(string(text), -1) {
		file := filepath.Join(dir, m[1])
		check(t, os.WriteFile(file, []byte(m[2]), 0o600))
		switch filepath.Ext(file) {
		case ".sh":
			run[m[1]] = []string{"sh", file}
		case ".mjs":
			run[m[1]] = []string{"node", file}
		case ".py":
			run[m[1]] = []string{"/usr/bin/python3", file}
		case ".go":
			program := strings.TrimSuffix(file, ".go")
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, file).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", m[1], err, out)
			}
			run[m[1]] = []string{program}
		}
	}
	if len(run) != 7 {
		t.Fatalf("the guide has %d programs", len(run))
	}
	return run
}

// printed is what a program printed so far.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) has(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.text.String(), text)
}

// TestGuide_ItsProgramsSend runs the guide's first programs as their readers do, with a token for sending alone.
func TestGuide_ItsProgramsSend(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Endpoint.TLS = contract.TLSAtGateway
	b.StartReady()
	p := newPerson(t)
	token := b.makeToken(map[string]any{"name": "my-program", "scopes": []string{"send"}, "expires_in": 3600})
	for name, command := range guide(t) {
		if !strings.HasPrefix(name, "send.") {
			continue
		}
		cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], p.Number.E164())...)
		cmd.Env = append(os.Environ(), "RELAYKEEP_ENDPOINT=http://"+b.Endpoint(), "RELAYKEEP_PHONE_NUMBER_ID="+b.NumberID, "RELAYKEEP_ACCESS_TOKEN="+token)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("wamid.")) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	p.Sees("Hello")
}

// TestGuide_ItsReceiversTakeOnlyWhatTheRelaySigned has the guide's receivers get a handshake, a webhook with
// other than ASCII characters as a relay writes it, and the same with another signature.
func TestGuide_ItsReceiversTakeOnlyWhatTheRelaySigned(t *testing.T) {
	t.Parallel()
	const secret, verify = "the webhook's secret", "the verify token"
	const hook = `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"value":{"messaging_product":"whatsapp","messages":[` +
		`{"from":"491701234567","id":"wamid.1","timestamp":"1","type":"text","text":{"body":"Gr\u00fc\u00dfe \ud83d\udc4b"}}]},"field":"messages"}]}]}`
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(hook))
	good := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	for name, command := range guide(t) {
		if !strings.HasPrefix(name, "receive.") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			ctx, stop := context.WithCancel(t.Context())
			out := &printed{}
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "RELAYKEEP_WEBHOOK_SECRET="+secret, "RELAYKEEP_VERIFY_TOKEN="+verify, "PORT="+port)
			cmd.Stdout, cmd.Stderr = out, out
			check(t, cmd.Start())
			defer func() { stop(); _ = cmd.Wait() }()
			await.Until(t, "the receiver", func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
			ask := func(method, query, body, signature string) (int, string) {
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/"+query, strings.NewReader(body))
				check(t, err)
				r.Header.Set("X-Hub-Signature-256", signature)
				response, err := http.DefaultClient.Do(r)
				check(t, err)
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				check(t, err)
				return response.StatusCode, string(text)
			}
			handshake := "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
			if status, text := ask(http.MethodGet, handshake+"the%20verify%20token", "", ""); status != http.StatusOK || text != "1158201444" {
				t.Errorf("the handshake gets %d %q", status, text)
			}
			if status, text := ask(http.MethodGet, handshake+"another", "", ""); status != http.StatusForbidden || text != "" {
				t.Errorf("a handshake with another token gets %d %q", status, text)
			}
			for what, signature := range map[string]string{"none": "", "another": fmt.Sprintf("sha256=%064x", 1), "a cut one": good[:70]} {
				if status, _ := ask(http.MethodPost, "", hook, signature); status != http.StatusUnauthorized {
					t.Errorf("with %s as signature it gets %d", what, status)
				}
			}
			if out.has("491701234567") {
				t.Error("it printed what was not signed")
			}
			if status, _ := ask(http.MethodPost, "", hook, good); status != http.StatusOK {
				t.Errorf("the webhook gets %d", status)
			}
			await.Until(t, "the text", func() bool { return out.has("491701234567 text Grüße 👋") })
		})
	}
}

// freeAddress is an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}
