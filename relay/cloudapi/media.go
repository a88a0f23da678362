package cloudapi

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/media"
)

// Limits of the calls about files.
const (
	// MediaURLTime is how long anyone who has the address of a file can use it.
	MediaURLTime = 5 * time.Minute
	// maxUploads is how many uploads may run at once.
	maxUploads = 16
	// uploadSlack is how many bytes an upload may have in addition to its file.
	uploadSlack = 64 << 10
	maxParts    = 16
	maxField    = 1024 // bytes of a form's field
	// transferStall is how long a transfer may go without progress.
	transferStall = 30 * time.Second
)

// fileInfo is the answer that describes a file.
type fileInfo struct {
	MessagingProduct string `json:"messaging_product"`
	URL              string `json:"url"`
	MIME             string `json:"mime_type"`
	SHA256           string `json:"sha256"` // hexadecimal here, base64 in webhooks
	Size             int64  `json:"file_size"`
	ID               string `json:"id"`
}

// uploaded is the answer to an upload.
type uploaded struct {
	ID string `json:"id"`
}

// upload serves POST /{phone-number-id}/media. The file streams into the store, so fields that
// follow it are checked afterwards.
func (a *API) upload(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	key, err := a.onceKey(r)
	if err != nil {
		return nil, err
	}
	select {
	case a.uploads <- struct{}{}:
		defer func() { <-a.uploads }()
	default:
		return nil, errThroughput(time.Second)
	}
	r.Body = http.MaxBytesReader(w, &pacedReader{r.Body, http.NewResponseController(w)}, media.MaxSize+uploadSlack)
	f, err := a.readForm(r)
	if err == nil {
		err = f.check()
	}
	if err != nil && f.id != "" {
		if err := a.Service.DeleteFile(r.Context(), f.id); err != nil && !errors.Is(err, ErrUnknownFile) {
			return nil, fromService(err)
		}
	}
	if err != nil {
		return nil, err
	}
	if key == "" {
		return uploaded{a.shownFile(f.id)}, nil
	}
	return a.uploadedOnce(r, f.id)
}

// uploadedOnce answers an upload with the file's id, or with that of the first upload that has its Idempotency-Key:
// then the file is removed again.
func (a *API) uploadedOnce(r *http.Request, id string) (any, error) {
	f, err := a.Service.File(r.Context(), id)
	var o *Once
	if err == nil {
		o, err = a.once(r, routeUpload, fmt.Appendf(nil, "%x %q %q", f.SHA256, f.MIME, f.Name))
	}
	first := ""
	if err == nil {
		first, err = a.Requests.Answer(r.Context(), *o, id)
	}
	if first != id {
		_ = a.Service.DeleteFile(context.WithoutCancel(r.Context()), id) // else the retention removes it
	}
	if err != nil {
		return nil, fromService(err)
	}
	return uploaded{a.shownFile(first)}, nil
}

// form is the content of an upload's form.
type form struct {
	product string
	kind    string // media type, or a category such as "image", or nothing
	id      string // of the file once it is stored
}

func (f *form) check() error {
	return cmp.Or(required("file", f.id), checkProduct(f.product))
}

// readForm reads an upload's parts in order. When it returns an error, f.id may name a file that
// was stored.
func (a *API) readForm(r *http.Request) (f form, err error) {
	q := r.URL.Query() // where some clients say all but the file
	f.product, f.kind = q.Get("messaging_product"), q.Get("type")
	parts, err := r.MultipartReader()
	if err != nil {
		return f, errInvalidParameter("The request body is not multipart/form-data.")
	}
	for range maxParts {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, brokenBody(err)
		}
		name, value := part.FormName(), ""
		if name != "file" {
			if value, err = field(part); err != nil {
				return f, err
			}
		}
		switch name {
		case "messaging_product":
			f.product = value
		case "type", "typeFile": // as Evolution API calls it
			f.kind = value
		case "file":
			if f.id != "" {
				return f, errInvalidParameter("Upload one file at a time.")
			}
			if f.id, err = a.storeFile(r, f.kind, part.Header.Get("Content-Type"), part.FileName(), part); err != nil {
				return f, err
			}
		}
	}
	return f, errInvalidParameter("The form has too many fields.")
}

func field(part io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(part, maxField+1))
	switch {
	case err != nil:
		return "", brokenBody(err)
	case len(b) > maxField:
		return "", errInvalidParameter("A field of the form is too long.")
	}
	return string(b), nil
}

// brokenBody says why a body could not be read.
func brokenBody(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return errFileTooLarge()
	}
	return errInvalidParameter("The request body is incomplete.")
}

// storeFile stores an upload's file. The part's own type counts first, then the form's, which
// some clients fill with a category, then what the file looks like.
func (a *API) storeFile(r *http.Request, kind, own, name string, body io.Reader) (string, error) {
	beginning := make([]byte, media.Sniffed)
	n, err := io.ReadFull(body, beginning)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", brokenBody(err)
	}
	if n == 0 {
		return "", errInvalidParameter("The file is empty.")
	}
	beginning = beginning[:n]
	mediaType := ""
	for _, candidate := range []string{media.Type(own), media.Type(kind), media.Guess(name, beginning)} {
		if media.KindOf(candidate) != "" {
			mediaType = candidate
			break
		}
	}
	if mediaType == "" {
		return "", errMediaType()
	}
	id, err := a.Service.StoreFile(r.Context(), NewFile{
		MIME: mediaType, Name: name, Limit: media.KindOf(mediaType).MaxSize(),
		Body: io.MultiReader(strings.NewReader(string(beginning)), body),
	})
	switch tooLarge := (*http.MaxBytesError)(nil); {
	case errors.Is(err, media.ErrTooLarge), errors.As(err, &tooLarge):
		return "", errFileTooLarge()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", brokenBody(err)
	}
	return id, fromService(err)
}

// describe serves GET /{media-id}.
func (a *API) describe(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	if err := a.ofNumber(r); err != nil {
		return nil, err
	}
	f, err := a.Service.File(r.Context(), id)
	if err != nil {
		return nil, noFile(r.Method, id, err)
	}
	return fileInfo{
		MessagingProduct: product, URL: a.fileURL(r, f.ID), MIME: f.MIME,
		SHA256: hex.EncodeToString(f.SHA256[:]), Size: f.Size, ID: a.shownFile(f.ID),
	}, nil
}

// remove serves DELETE /{media-id}.
func (a *API) remove(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	if err := a.ofNumber(r); err != nil {
		return nil, err
	}
	if err := a.Service.DeleteFile(r.Context(), id); err != nil {
		return nil, noFile(r.Method, id, err)
	}
	return success{true}, nil
}

// ofNumber checks the parameter in which a client names the file's number.
func (a *API) ofNumber(r *http.Request) error {
	if id := r.URL.Query().Get("phone_number_id"); id != "" && id != a.Number.ID {
		return errInvalidParameter("The file does not belong to the number of phone_number_id.")
	}
	return nil
}

func noFile(method, id string, err error) error {
	if errors.Is(err, ErrUnknownFile) {
		return errNoObject(method, id)
	}
	return fromService(err)
}

// Files are served below this path; what follows it is the file's id.
const filePath = "/media/"

// fileURL is an address of a file that works for MediaURLTime without a token, since some
// clients send none there.
func (a *API) fileURL(r *http.Request, id string) string {
	expires := strconv.FormatInt(a.Now().Add(MediaURLTime).Unix(), 10)
	q := url.Values{"expires": {expires}, "signature": {a.signature(id, expires)}}
	path := filePath + id
	if a.MarkFiles {
		path = "/" + a.Number.ID + path
	}
	return a.base(r) + path + "?" + q.Encode()
}

// signature lets anyone who has it download one file until it expires. Its key is derived from
// the access token, so it ends with the token, and every replica knows it.
func (a *API) signature(id, expires string) string {
	m := hmac.New(sha256.New, a.fileKey[:])
	m.Write([]byte(id + "\x00" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

// signed says whether a request has a signature that is valid now.
func (a *API) signed(r *http.Request, id string) bool {
	q := r.URL.Query()
	expires := q.Get("expires")
	if !hmac.Equal([]byte(q.Get("signature")), []byte(a.signature(id, expires))) {
		return false
	}
	at, err := strconv.ParseInt(expires, 10, 64)
	return err == nil && a.Now().Unix() < at
}

// download serves a file's content, by signature or token, in ranges if the client asks for
// them.
func (a *API) download(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, errNoObject(r.Method, id)
	}
	if !a.signed(r, id) {
		authenticated, err := a.authenticate(r)
		switch {
		case err != nil:
			return nil, err
		case !callerOf(authenticated).allows(access.Media):
			return nil, errScope(access.Media)
		}
	} else {
		useOf(r).signed = true
	}
	f, content, err := a.Service.OpenFile(r.Context(), id)
	if errors.Is(err, ErrUnknownFile) {
		e := errNoObject(r.Method, id)
		e.Status = http.StatusNotFound
		return nil, e
	}
	if err != nil {
		return nil, fromService(err)
	}
	h := w.Header()
	h.Set("Content-Type", f.MIME)
	// A customer chose the content: no browser must show it as a page of ours.
	h.Set("Content-Disposition", disposition(f))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	http.ServeContent(pacedWriter{w, http.NewResponseController(w)}, r, "", time.Time{}, content)
	return served{}, nil
}

// disposition names a file for those who save it.
func disposition(f File) string {
	name := f.Name
	if name == "" {
		name = f.ID
		if extension := media.Extension(f.MIME); extension != "" {
			name += "." + extension
		}
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

// pacedReader and pacedWriter let a transfer take any time as long as it makes progress. The
// server's own limits are for small requests.
type pacedReader struct {
	io.ReadCloser
	control *http.ResponseController
}

func (p *pacedReader) Read(b []byte) (int, error) {
	// Not every server has deadlines; then the server's own limits apply.
	_ = p.control.SetReadDeadline(time.Now().Add(transferStall))
	_ = p.control.SetWriteDeadline(time.Now().Add(2 * transferStall))
	return p.ReadCloser.Read(b)
}

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p pacedWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(transferStall))
	return p.ResponseWriter.Write(b)
}
