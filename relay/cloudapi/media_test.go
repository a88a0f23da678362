package cloudapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/piusalfred/whatsapp/config"
	clientmedia "github.com/piusalfred/whatsapp/media"
	whttp "github.com/piusalfred/whatsapp/pkg/http"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// storedFile is a file that the service has.
type storedFile struct {
	cloudapi.File
	content []byte
}

const fileID = "1037543291543636"

func (s *service) AcceptAttachment(_ context.Context, a cloudapi.Attachment) (string, error) {
	s.attachments = append(s.attachments, a)
	return wamid, s.err
}

func (s *service) StoreFile(_ context.Context, f cloudapi.NewFile) (string, error) {
	content, err := io.ReadAll(media.Bounded(f.Body, f.Limit))
	if err != nil {
		return "", fmt.Errorf("storing: %w", err)
	}
	if s.files == nil {
		s.files = map[string]storedFile{}
	}
	s.files[fileID] = storedFile{cloudapi.File{
		ID: fileID, MIME: f.MIME, Name: f.Name, SHA256: sha256.Sum256(content), Size: int64(len(content)),
	}, content}
	return fileID, s.err
}

func (s *service) File(_ context.Context, id string) (cloudapi.File, error) {
	f, ok := s.files[id]
	if !ok {
		return cloudapi.File{}, cloudapi.ErrUnknownFile
	}
	return f.File, s.err
}

func (s *service) OpenFile(ctx context.Context, id string) (cloudapi.File, io.ReadSeeker, error) {
	f, err := s.File(ctx, id)
	return f, bytes.NewReader(s.files[id].content), err
}

func (s *service) DeleteFile(_ context.Context, id string) error {
	if _, ok := s.files[id]; !ok {
		return cloudapi.ErrUnknownFile
	}
	delete(s.files, id)
	return s.err
}

// part is one part of an upload.
type part struct{ name, mime, file, content string }

// upload sends a form.
func upload(t *testing.T, h http.Handler, parts ...part) *httptest.ResponseRecorder {
	t.Helper()
	body, contentType := multipartBody(t, parts...)
	return ask(h, http.MethodPost, "/v23.0/"+numberID+"/media", contentType, body)
}

func multipartBody(t *testing.T, parts ...part) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", p.name)}}
		if p.file != "" {
			header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", p.name, p.file))
		}
		if p.mime != "" {
			header.Set("Content-Type", p.mime)
		}
		f, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(f, p.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

const png = "\x89PNG\r\n\x1a\npixels"

var whatsapp = part{name: "messaging_product", content: "whatsapp"}

func TestUploadsOfAllClients(t *testing.T) {
	file := func(mime, name string) part { return part{"file", mime, name, png} }
	for name, tt := range map[string]struct {
		parts []part
		mime  string
	}{
		"type of the part":        {[]part{whatsapp, file("image/png", "a")}, "image/png"},
		"type of the form":        {[]part{whatsapp, {name: "type", content: "image/jpeg"}, file("application/octet-stream", "a")}, "image/jpeg"},
		"a category as type":      {[]part{whatsapp, {name: "type", content: "image"}, file("application/octet-stream", "a.bin")}, "image/png"},
		"the file's own looks":    {[]part{whatsapp, file("", "a")}, "image/png"},
		"its looks, not its name": {[]part{whatsapp, file("", "a.pdf")}, "image/png"},
		"its name":                {[]part{whatsapp, {"file", "", "a.docx", "text"}}, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		"loose parameters":        {[]part{whatsapp, file("image/png; name=Offer 2.png", "a")}, "image/png"},
		"octet-stream Ogg":        {[]part{whatsapp, {"file", "application/octet-stream", "a", "OggS\x00"}}, "audio/ogg"},
		"Opus":                    {[]part{whatsapp, {"file", "audio/opus", "a", "OggS\x00"}}, "audio/ogg"},
		"product at the end":      {[]part{file("image/png; x=y", "a"), whatsapp}, "image/png"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			w := upload(t, cloudapi.New(options(t, s)), tt.parts...)
			golden(t, "uploaded", w)
			sent := tt.parts[slices.IndexFunc(tt.parts, func(p part) bool { return p.name == "file" })].content
			if f := s.files[fileID]; f.MIME != tt.mime || string(f.content) != sent {
				t.Errorf("stored %d bytes of %s", len(f.content), f.MIME)
			}
		})
	}
}

func TestUploadsThatAreRefusedLeaveNothing(t *testing.T) {
	file := part{"file", "image/png", "a.png", png}
	for name, parts := range map[string][]part{
		"upload-without-product": {file},
		"upload-other-product":   {file, {name: "messaging_product", content: "mail"}},
		"upload-without-file":    {whatsapp},
		"upload-twice":           {whatsapp, file, file},
		"upload-empty":           {whatsapp, {"file", "image/png", "a.png", ""}},
		"upload-of-a-page":       {whatsapp, {"file", "text/html", "a.html", "<html>"}},
		"upload-too-large":       {whatsapp, {"file", "image/webp", "a.webp", strings.Repeat("x", 500<<10+1)}},
		"upload-long-field":      {file, {name: "messaging_product", content: strings.Repeat("x", 2000)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			golden(t, name, upload(t, cloudapi.New(options(t, s)), parts...))
			if len(s.files) != 0 {
				t.Error("a file is left")
			}
		})
	}
	t.Run("upload-no-form", func(t *testing.T) {
		golden(t, "upload-no-form", call(cloudapi.New(options(t, &service{})), "POST", "/v23.0/"+numberID+"/media", "{}"))
	})
}

// withFile is an API whose service has a file.
func withFile(t *testing.T, o func(*cloudapi.Options)) (http.Handler, *service) {
	t.Helper()
	s := &service{}
	_, err := s.StoreFile(t.Context(), cloudapi.NewFile{MIME: "image/png", Name: "a.png", Body: strings.NewReader(png), Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	opts := options(t, s)
	opts.BaseURL = "https://acme.relay.test"
	o(&opts)
	return cloudapi.New(opts), s
}

// address asks for a file's address and returns its path and query.
func address(t *testing.T, h http.Handler) *url.URL {
	t.Helper()
	w := call(h, "GET", "/v23.0/"+fileID, "")
	var info struct{ URL string }
	if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil || !strings.HasPrefix(info.URL, "https://acme.relay.test/media/"+fileID+"?") {
		t.Fatalf("answer %s", w.Body)
	}
	u, err := url.Parse(info.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fetch calls without a token.
func fetch(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	serve(h, w, r)
	return w
}

func TestFile_IsDescribedAndDownloaded(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	h, s := withFile(t, func(o *cloudapi.Options) { o.Now = c.Now })
	w := call(h, "GET", "/v23.0/"+fileID+"?phone_number_id="+numberID, "")
	golden(t, "media", w)
	sum := s.files[fileID].SHA256
	if !strings.Contains(w.Body.String(), hex.EncodeToString(sum[:])) {
		t.Error("the hash is another one")
	}
	u := address(t, h)
	got := fetch(h, "GET", u.RequestURI())
	if got.Code != 200 || got.Body.String() != png || got.Header().Get("Content-Type") != "image/png" ||
		got.Header().Get("X-Content-Type-Options") != "nosniff" || got.Header().Get("Content-Disposition") != "attachment; filename=a.png" {
		t.Errorf("got %d, %q, %v", got.Code, got.Body, got.Header())
	}
	part := fetch(h, "GET", u.RequestURI(), "Range", "bytes=8-")
	if part.Code != http.StatusPartialContent || part.Body.String() != png[8:] {
		t.Errorf("a range is %d %q", part.Code, part.Body)
	}
	if head := fetch(h, "HEAD", u.RequestURI()); head.Code != 200 || head.Body.Len() != 0 {
		t.Errorf("a HEAD is %d", head.Code)
	}
	if bearer := fetch(h, "GET", "/media/"+fileID, "Authorization", "Bearer "+token); bearer.Code != 200 {
		t.Errorf("with a token alone: %d", bearer.Code)
	}
}

func TestFileAddress_ServesOneFileForFiveMinutes(t *testing.T) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	h, s := withFile(t, func(o *cloudapi.Options) { o.Now = c.Now })
	s.files["2037543291543636"] = s.files[fileID]
	u := address(t, h)
	with := func(change func(url.Values)) string {
		q := u.Query()
		change(q)
		return u.Path + "?" + q.Encode()
	}
	for name, path := range map[string]string{
		"another file":   strings.Replace(u.RequestURI(), fileID, "2037543291543636", 1),
		"unknown file":   strings.Replace(u.RequestURI(), fileID, "3037543291543636", 1),
		"later":          with(func(q url.Values) { q.Set("expires", "1700009999") }),
		"no signature":   with(func(q url.Values) { q.Del("signature") }),
		"no time":        with(func(q url.Values) { q.Del("expires") }),
		"half signature": with(func(q url.Values) { q.Set("signature", q.Get("signature")[:20]) }),
		"nothing":        u.Path,
	} {
		if w := fetch(h, "GET", path); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := fetch(h, "DELETE", u.RequestURI()); w.Code != http.StatusBadRequest {
		t.Errorf("deleting by address: %d", w.Code)
	}
	other, _ := withFile(t, func(o *cloudapi.Options) { o.Now, o.Token = c.Now, "rotated" })
	if w := fetch(other, "GET", u.RequestURI()); w.Code != http.StatusUnauthorized {
		t.Errorf("after the token was rotated: %d", w.Code)
	}
	c.now = c.now.Add(cloudapi.MediaURLTime - time.Second)
	if w := fetch(h, "GET", u.RequestURI()); w.Code != 200 {
		t.Errorf("just before its time: %d", w.Code)
	}
	c.now = c.now.Add(time.Second)
	if w := fetch(h, "GET", u.RequestURI()); w.Code != http.StatusUnauthorized {
		t.Errorf("after its time: %d", w.Code)
	}
}

func TestFile_IsDeleted(t *testing.T) {
	h, _ := withFile(t, func(*cloudapi.Options) {})
	u := address(t, h)
	if w := call(h, "DELETE", "/v23.0/"+fileID+"?phone_number_id=1", ""); w.Code != http.StatusBadRequest {
		t.Errorf("as another number's: %d", w.Code)
	}
	golden(t, "media-deleted", call(h, "DELETE", "/v23.0/"+fileID, ""))
	golden(t, "media-unknown", call(h, "GET", "/v23.0/"+fileID, ""))
	if w := call(h, "DELETE", "/v23.0/"+fileID, ""); w.Code != http.StatusBadRequest {
		t.Errorf("deleting it again: %d", w.Code)
	}
	if w := fetch(h, "GET", u.RequestURI()); w.Code != http.StatusNotFound {
		t.Errorf("its address: %d", w.Code)
	}
}

func TestAttachmentReachesTheServiceWhole(t *testing.T) {
	s := &service{}
	call(cloudapi.New(options(t, s)), "POST", messages, `{"messaging_product":"whatsapp","to":"16505551234","type":"document",
		"document":{"link":"https://shop.test/a.pdf","caption":"see","filename":"../Plan.pdf"},"context":{"message_id":"wamid.q"},"biz_opaque_callback_data":"7"}`)
	want := []cloudapi.Attachment{{
		To: mustNumber(t, "+16505551234"), Kind: media.Document, Link: "https://shop.test/a.pdf", Caption: "see", Filename: "Plan.pdf", ReplyTo: "wamid.q", Opaque: "7",
	}}
	if diff := cmp.Diff(want, s.attachments, cmp.Comparer(func(a, b phone.Number) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestFilesThatCannotBeSentAreTheAPIsErrors(t *testing.T) {
	for name, err := range map[string]error{
		"file-unknown": cloudapi.ErrUnknownFile, "file-of-another-kind": cloudapi.ErrFileKind, "file-too-large": media.ErrTooLarge,
	} {
		w := call(cloudapi.New(options(t, &service{err: err})), "POST", messages,
			`{"messaging_product":"whatsapp","to":"16505551234","type":"image","image":{"id":"1"}}`)
		golden(t, name, w)
	}
}

func TestPublishedClient_MovesFiles(t *testing.T) {
	s := &service{}
	server := httptest.NewUnstartedServer(nil)
	o := options(t, s)
	o.BaseURL = "http://" + server.Listener.Addr().String()
	server.Config.Handler = cloudapi.New(o)
	server.Start()
	defer server.Close()
	read := config.ReaderFunc(func(context.Context) (*config.Config, error) {
		return &config.Config{BaseURL: server.URL, APIVersion: "v23.0", AccessToken: token, PhoneNumberID: numberID}, nil
	})
	c := clientmedia.NewBaseClient(read, whttp.NewAnySender())
	path := filepath.Join(t.TempDir(), "a.png")
	if err := os.WriteFile(path, []byte(png), 0o600); err != nil {
		t.Fatal(err)
	}
	up, err := c.Upload(t.Context(), &clientmedia.UploadRequest{MediaType: clientmedia.TypeImagePNG, Filepath: path})
	if err != nil || up.ID != fileID {
		t.Fatalf("uploading: %+v, %v", up, err)
	}
	info, err := c.GetInfo(t.Context(), &clientmedia.BaseRequest{MediaID: up.ID, RestrictToOwnMedia: true})
	if err != nil || info.FileSize != int64(len(png)) || info.MimeType != "image/png" {
		t.Fatalf("info: %+v, %v", info, err)
	}
	response, err := http.Get(info.URL) // as some clients do: without a token
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != png {
		t.Errorf("downloaded %q, %v", got, err)
	}
	if gone, err := c.Delete(t.Context(), &clientmedia.BaseRequest{MediaID: up.ID}); err != nil || !gone.Success {
		t.Errorf("deleting: %+v, %v", gone, err)
	}
}

func TestMoreUploadsThanThereIsRoomForWait(t *testing.T) {
	s := &blockingService{service: &service{}, begun: make(chan struct{}, 100), end: make(chan struct{})}
	h := cloudapi.New(options(t, s))
	done := make(chan int, 100)
	for range 16 {
		go func() { done <- upload(t, h, whatsapp, part{"file", "image/png", "a", png}).Code }()
	}
	for range 16 {
		<-s.begun
	}
	if w := upload(t, h, whatsapp, part{"file", "image/png", "a", png}); w.Code != cloudapi.ThrottledStatus {
		t.Errorf("one more is %d", w.Code)
	}
	close(s.end)
	for range 16 {
		if code := <-done; code != 200 {
			t.Errorf("an upload is %d", code)
		}
	}
}

// blockingService takes no file to its end until end is closed.
type blockingService struct {
	*service
	begun, end chan struct{}
}

func (s *blockingService) StoreFile(_ context.Context, f cloudapi.NewFile) (string, error) {
	s.begun <- struct{}{}
	<-s.end
	_, err := io.Copy(io.Discard, f.Body)
	return fileID, err
}

func FuzzUpload(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("--b\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n")
	f.Add("--b\r\n\r\n--b--")
	f.Fuzz(func(t *testing.T, body string) {
		s := &service{}
		r := httptest.NewRequest(http.MethodPost, "/v23.0/"+numberID+"/media", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		serve(cloudapi.New(options(t, s)), w, r)
		if !json.Valid(w.Body.Bytes()) || w.Code != 200 && len(s.files) != 0 || w.Code == 200 && len(s.files) != 1 {
			t.Errorf("answer %d %s with %d files", w.Code, w.Body, len(s.files))
		}
	})
}

// pipes is a listener in memory, on which a synctest bubble's clock runs.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// A server's own time limits are made for small requests: files take longer.
func TestFilesMayTakeTheirTime(t *testing.T) {
	for name, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { sendSlowly(t, two) })
		})
	}
}

func sendSlowly(t *testing.T, two bool) {
	s, listener := &service{}, &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: cloudapi.New(options(t, s))}}
	const limit = 10 * time.Second
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	server.Config.Protocols = protocols
	server.Start()
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport)
	transport.DialContext, transport.Protocols = listener.dial, protocols
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer reader.Close()
	sending.Go(func() {
		_ = form.WriteField("messaging_product", "whatsapp")
		file, _ := form.CreateFormFile("file", "a.png")
		for range 5 {
			_, _ = io.WriteString(file, png)
			<-time.After(limit / 2)
		}
		_ = writer.CloseWithError(form.Close())
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v23.0/"+numberID+"/media", reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || string(s.files[fileID].content) != strings.Repeat(png, 5) {
		t.Errorf("answered %s, stored %d bytes", response.Status, len(s.files[fileID].content))
	}
	if response.ProtoMajor == 2 != two {
		t.Errorf("spoke %s", response.Proto)
	}
}
