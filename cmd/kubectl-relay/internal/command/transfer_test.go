package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// photo is a file of several segments.
func photo() []byte {
	return append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("pixels"), 50_000)...)
}

// startPhotographer answers every text with a photo.
func startPhotographer(t *testing.T, server *prosody.Server) {
	t.Helper()
	startShopThat(t, server, func(ctx context.Context, shop *customer.Customer, e customer.Event) {
		if _, err := shop.SendFile(ctx, e.Peer, "photo.png", bytes.NewReader(photo()), int64(len(photo()))); err != nil {
			t.Errorf("sending the photo: %v", err)
		}
	})
}

// onlyFile returns the content of the one file of a directory, and its name.
func onlyFile(t *testing.T, dir string) (name string, content []byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 {
		t.Fatalf("%d files in the directory, want one: %v", len(entries), entries)
	}
	content, err = os.ReadFile(filepath.Join(dir, entries[0].Name()))
	check(t, err)
	return entries[0].Name(), content
}

// noKey holds that nothing that was printed is a file's key, or as long as one.
func noKey(t *testing.T, printed string) {
	t.Helper()
	if strings.Contains(printed, "aesgcm:") || regexp.MustCompile("[0-9a-fA-F]{64}").MatchString(printed) {
		t.Errorf("a key is told:\n%s", printed)
	}
}

func TestChatFetchesTheFilesThatTheBusinessSends(t *testing.T) {
	server, where := startServer(t)
	startPhotographer(t, server)
	where = append(where, "--state-dir", filepath.Join(t.TempDir(), "state"))
	dir := filepath.Join(t.TempDir(), "made", "here")
	out, notes, err := runChatOnce(t, "a photo, please\n", append(where, "--register", "--expect", "1", "--wait", "1m", "--files", dir, "--verbose")...)
	check(t, err)
	name, content := onlyFile(t, dir)
	if !bytes.Equal(content, photo()) || !strings.HasSuffix(name, ".png") {
		t.Errorf("%s has %d bytes", name, len(content))
	}
	if out != "<+ "+name+"\n" {
		t.Errorf("printed %q", out)
	}
	if !strings.Contains(notes, name+" was saved as "+filepath.Join(dir, name)+"\n") {
		t.Errorf("the notes do not say where it is:\n%s", notes)
	}
	noKey(t, out+notes)
	info, err := os.Stat(filepath.Join(dir, name))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

func TestChatSaysThatAFileCameAndKeepsItsKeyToItself(t *testing.T) {
	server, where := startServer(t)
	startPhotographer(t, server)
	where = append(where, "--state-dir", filepath.Join(t.TempDir(), "state"))
	out, notes, err := runChatOnce(t, "a photo, please\n", append(where, "--register", "--expect", "1", "--wait", "1m", "--verbose")...)
	check(t, err)
	if !strings.HasPrefix(out, "<+ ") || !strings.HasSuffix(out, ".png\n") {
		t.Errorf("printed %q", out)
	}
	noKey(t, out+notes)
	if !strings.Contains(notes, "--files") {
		t.Errorf("the notes do not say how to have it:\n%s", notes)
	}
}

func TestChatFilter_FailsIfAFileCannotBeFetched(t *testing.T) {
	server, where := startServer(t)
	startShop(t, server, func(url string) string {
		l := media.NewFileURL()
		l.URL = url
		return l.Text()
	})
	ca, base := startWeb(t, server)
	where = append(where, "--ca", ca, "--state-dir", filepath.Join(t.TempDir(), "state"), "--register")
	for name, tt := range map[string]struct{ url, want string }{
		"which is not there":          {"https://" + server.UploadAddr + "/file_share/none/..%2f%1b[2Jphoto.png", "the server does not have it"},
		"which is not the link's":     {base + "/file/..%2f%1b[2Jphoto.png", "it is damaged, or not the file that was sent"},
		"which is on another host":    {base + "/away/..%2f%1b[2Jphoto.png", "its link leads to an address that is not allowed"},
		"whose server is not trusted": {startUntrusted(t) + "/..%2f%1b[2Jphoto.png", "certificate is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out, notes, err := runChatOnce(t, tt.url+"\n", append(where, "--expect", "1", "--wait", "1m", "--files", dir)...)
			if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("exit %d, error %v", exit.Code(err), err)
			}
			if out != "<+ [2Jphoto.png\n" || !strings.Contains(notes, "✗ [2Jphoto.png was not fetched") {
				t.Errorf("printed %q and:\n%s", out, notes)
			}
			noKey(t, out+notes)
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// startWeb runs a web server that leads on to Prosody's for what is below /away, and
// returns a file with the authorities of both.
func startWeb(t *testing.T, server *prosody.Server) (ca, base string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/away/") {
			http.Redirect(w, r, "https://"+server.UploadAddr+"/", http.StatusFound)
			return
		}
		_, _ = w.Write(photo())
	}))
	t.Cleanup(s.Close)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ca = filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, append(own, server.CAPEM...), 0o600))
	return ca, s.URL
}

// startUntrusted runs a web server with a certificate of an authority of its own.
func startUntrusted(t *testing.T) (base string) {
	t.Helper()
	certificate, err := prosody.NewCertificate([]string{"web.test"})
	check(t, err)
	pair, err := tls.X509KeyPair(certificate.Chain, certificate.Key)
	check(t, err)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// startCollector keeps the files that it is sent, says "thanks" for them, and returns
// where they are.
func startCollector(t *testing.T, server *prosody.Server) (dir string) {
	t.Helper()
	dir = t.TempDir()
	startShopThat(t, server, func(ctx context.Context, shop *customer.Customer, e customer.Event) {
		answer := "you said: " + e.Text
		if link, err := media.ParseFileURL(e.Text); err == nil {
			if _, err := shop.SaveFile(ctx, link, dir); err != nil {
				t.Errorf("the shop cannot have the file: %v", err)
			}
			answer = "thanks"
		}
		_, _ = shop.Send(ctx, e.Peer, answer) // a lost answer fails the test
	})
	return dir
}

func TestChatSendsFiles(t *testing.T) {
	server, where := startServer(t)
	dir := startCollector(t, server)
	path := filepath.Join(t.TempDir(), "Aunt Emma's garden.PNG")
	check(t, os.WriteFile(path, photo(), 0o600))
	where = append(where, "--state-dir", filepath.Join(t.TempDir(), "state"))
	out, notes, err := runChatOnce(t, "/file "+path+"\n", append(where, "--register", "--expect", "2", "--wait", "1m", "--attach", path)...)
	check(t, err)
	name, content := onlyFile(t, dir)
	if !bytes.Equal(content, photo()) || !strings.HasSuffix(name, ".png") || strings.Contains(name, "Emma") {
		t.Errorf("the shop has %s of %d bytes", name, len(content))
	}
	if want := "<- thanks\n<- you said: /file " + path + "\n"; out != want { // a filter has no commands
		t.Errorf("printed %q, want %q", out, want)
	}
	if !strings.Contains(notes, "#1 ✓✓ delivered\n") {
		t.Errorf("the file is not numbered as a message:\n%s", notes)
	}
}

func TestChatSendsNothingButFiles(t *testing.T) {
	server, where := startServer(t)
	startShop(t, server, func(text string) string { return text })
	huge := filepath.Join(t.TempDir(), "huge")
	check(t, os.WriteFile(huge, nil, 0o600))
	check(t, os.Truncate(huge, media.MaxSize+1))
	for path, want := range map[string]string{
		huge: "larger than 100 MB", "/dev/zero": "not a file", t.TempDir(): "not a file", "/nonexistent": "no such file",
	} {
		_, _, err := runChatOnce(t, "", append(where, "--register", "--state-dir", filepath.Join(t.TempDir(), "state"), "--attach", path)...)
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: exit %d, error %v", path, exit.Code(err), err)
		}
	}
}

func TestChatWithoutAnUploadServiceSaysSo(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true, NoUploads: true})
	dir := t.TempDir()
	path := filepath.Join(dir, "ca.pem")
	check(t, os.WriteFile(path, server.CAPEM, 0o600))
	_, _, err := runChatOnce(t, "", "--domain", server.Domain, "--server", server.Addr, "--ca", path, "--register", "--state-dir", filepath.Join(dir, "state"), "--attach", path)
	if !errors.Is(err, customer.ErrNoUploads) {
		t.Errorf("error %v", err)
	}
}
