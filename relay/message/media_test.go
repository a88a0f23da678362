package message_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// withFiles runs a test of a relay whose carrier has a place for files.
func withFiles(t *testing.T, test func(t *testing.T, w *world, a *person)) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.web = newWeb() }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello") // the two know each other
		w.take()
		test(t, w, a)
	})
}

// picture is a file of several pieces.
func picture() []byte {
	return append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("pixels"), store.MediaChunk/4)...)
}

// hands puts a file on the web as a client does and returns the link.
func (p *person) hands(at string, content []byte) media.FileURL {
	p.t.Helper()
	l := media.NewFileURL()
	l.URL = at
	r, err := l.Encrypt(bytes.NewReader(content))
	check(p.t, err)
	sealed, err := io.ReadAll(r)
	check(p.t, err)
	p.world.web.change(func() { p.world.web.files[at] = sealed })
	return l
}

// stored reads a file back from the relay.
func (w *world) stored(id string) []byte {
	w.t.Helper()
	_, r, err := w.OpenMedia(context.Background(), id)
	check(w.t, err)
	b, err := io.ReadAll(r)
	check(w.t, err)
	return b
}

// keeps has the relay store a file of the business's.
func (w *world) keeps(mime string, content []byte) string {
	w.t.Helper()
	id, err := w.StoreMedia(context.Background(), message.Upload{MIME: mime, Name: "x", Body: bytes.NewReader(content), Limit: media.MaxSize})
	check(w.t, err)
	return id
}

// sends has the business send a file.
func (w *world) sends(a message.Attachment) string {
	w.t.Helper()
	id, err := w.AcceptAttachment(context.Background(), a)
	check(w.t, err)
	return id
}

// opens downloads what a link that arrived names.
func (p *person) opens(text string) []byte {
	p.t.Helper()
	l, err := media.ParseFileURL(text)
	check(p.t, err)
	f, err := p.world.web.Get(context.Background(), l.URL, media.MaxSize)
	check(p.t, err)
	r, err := l.Decrypt(f)
	check(p.t, err)
	b, err := io.ReadAll(r)
	check(p.t, err)
	return b
}

const upload = "https://relay.test/upload/1/photo.png"

// Neither a file nor its caption goes to another identity key than the business named.
func TestFile_ForAnUnknownIdentityKeyFails(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		a.says(w.number, "my key is in this webhook")
		hash, sent := w.take()[0].Identity, len(w.carrier.Texts())
		file := message.Attachment{To: a.number, Kind: media.Image, ID: w.keeps("image/png", picture()), Caption: "for somebody else"}
		file.IdentityHash = "DF2lS5v2W6xDF2lS5v2W6w=="
		id := w.sends(file)
		events := w.take()
		if len(events) != 1 || events[0].ID != id || events[0].Code != 137000 || len(w.carrier.Texts()) != sent {
			t.Errorf("the business got %+v, and %d messages were sent", events, len(w.carrier.Texts())-sent)
		}
		file.IdentityHash = hash
		id = w.sends(file)
		if got := statuses(w.take(), id); len(got) == 0 || got[0] != "sent" {
			t.Errorf("for the known key the statuses are %q", got)
		}
	})
}

func TestFile_OfACustomerReachesTheBusiness(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		content := picture()
		link := a.hands(upload, content)
		a.says(w.number, link.Text()+"\ndata:image/png,AAAA")
		events := w.take()
		sum := sha256.Sum256(content)
		if len(events) != 1 || events[0].Type != "image" || events[0].From != a.number.Digits() || events[0].Text != "" ||
			events[0].File.MIME != "image/png" || events[0].File.SHA256 != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Fatalf("the business got %+v", events)
		}
		if !bytes.Equal(w.stored(events[0].File.ID), content) {
			t.Error("the file is another one")
		}
		if got := a.all(customer.Delivered); len(got) != 2 {
			t.Errorf("the customer got %d receipts", len(got))
		}
		check(t, w.MarkRead(t.Context(), message.Read{ID: events[0].ID, Typing: false}))
		w.settle()
		if got := a.all(customer.Read); len(got) == 0 || got[len(got)-1].ID != a.carrier.Last().ID {
			t.Error("the customer was not told that it was read")
		}
	})
}

func TestFile_OfACustomerIsFetchedFromTheCarriersWebServer(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		a.says(w.number, a.hands("https://up.test:5281/9/plan.pdf", []byte("%PDF")).Text())
		events := w.take()
		if len(events) != 1 || events[0].Type != "document" || events[0].File.Filename != "plan.pdf" || events[0].File.MIME != "application/pdf" {
			t.Fatalf("the business got %+v", events)
		}
	})
}

func TestFile_OfACustomerArrivesAsWhatItIs(t *testing.T) {
	const at = "https://relay.test/upload/1/"
	opus := "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
	for name, tt := range map[string]struct {
		file, content string
		want          event
	}{
		"a voice note":     {"RECORDING_20260102_030405678.m4a", "\x00\x00\x00\x18ftypM4A ", event{Type: "audio", File: file{MIME: "audio/mp4", Voice: true}}},
		"Opus":             {"x.ogg", opus, event{Type: "audio", File: file{MIME: "audio/ogg", Voice: true}}},
		"a song":           {"song.mp3", "ID3\x03", event{Type: "audio", File: file{MIME: "audio/mpeg"}}},
		"a moving sticker": {"x.webp", "RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x12\x00\x00\x00\xff\x01\x00\xff\x01\x00", event{Type: "sticker", File: file{MIME: "image/webp", Animated: true}}},
		"a GIF":            {"dance.gif", "GIF89a\x10\x00\x10\x00", event{Type: "document", File: file{MIME: "image/gif", Filename: "dance.gif"}}},
	} {
		t.Run(name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, w *world, a *person) {
				a.says(w.number, a.hands(at+tt.file, []byte(tt.content)).Text())
				events := w.take()
				if len(events) != 1 {
					t.Fatalf("the business got %+v", events)
				}
				got := event{Type: events[0].Type, File: events[0].File}
				got.File.ID, got.File.SHA256 = "", ""
				if got != tt.want {
					t.Errorf("the business got %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func TestFile_FailedDownloadIsReported(t *testing.T) {
	for name, say := range map[string]func(w *world, a *person) string{
		"elsewhere": func(_ *world, a *person) string { return a.hands("https://evil.test/x.png", picture()).Text() },
		"other port": func(_ *world, a *person) string {
			return a.hands("https://up.test/x.png", picture()).Text()
		},
		"gone": func(*world, *person) string { l := media.NewFileURL(); l.URL = upload; return l.Text() },
		"damaged": func(w *world, a *person) string {
			l := a.hands(upload, picture())
			w.web.change(func() { w.web.files[upload][5] ^= 1 })
			return l.Text()
		},
		"cut": func(w *world, a *person) string {
			l := a.hands(upload, picture())
			w.web.change(func() { w.web.files[upload] = w.web.files[upload][:1000] })
			return l.Text()
		},
	} {
		t.Run(name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, w *world, a *person) {
				a.says(w.number, say(w, a))
				elapse(time.Minute)
				events := w.take()
				if len(events) != 1 || events[0].Type != "unsupported" || events[0].Code != 131052 {
					t.Fatalf("the business got %+v", events)
				}
				w.noFiles()
			})
		})
	}
}

// noFiles fails the test when the store holds a file, finished or not.
func (w *world) noFiles() {
	w.t.Helper()
	w.stop()
	if n := w.pieces(); n != 0 {
		w.t.Errorf("%d pieces of files are left", n)
	}
}

func TestFile_IsFetchedOnceTheCarrierHasItAgain(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		w.web.change(func() {
			w.web.fails = []error{errors.New("busy"), carrier.ErrOffline, errors.New("busy"), media.ErrGone}
		})
		a.says(w.number, a.hands(upload, picture()).Text())
		a.says(w.number, "did you get it?")
		if got := texts(w.take()); !slices.Equal(got, []string{"did you get it?"}) {
			t.Errorf("meanwhile the business got %q", got)
		}
		elapse(time.Minute)
		if events := w.take(); len(events) != 1 || events[0].Type != "image" {
			t.Fatalf("the business got %+v", events)
		}
	})
}

func TestFile_OfTheBusinessReachesTheCustomer(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		content := picture()
		file := w.keeps("image/png", content)
		id := w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: file, Caption: "your parcel", Opaque: "order 7"})
		after := w.says(a.number, "it is at the door")
		events := w.take()
		got := a.got()
		if len(got) != 3 || got[1] != "your parcel" || got[2] != "it is at the door" {
			t.Fatalf("the customer got %q", got)
		}
		if !bytes.Equal(a.opens(got[0]), content) {
			t.Error("the file is another one")
		}
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %v", got)
		}
		for _, e := range events {
			if e.ID != id && e.ID != after || e.ID == id && e.Opaque != "order 7" {
				t.Errorf("the business got %+v", e)
			}
		}
		for _, name := range w.web.names {
			if strings.Contains(name, "parcel") || !strings.HasSuffix(name, ".png") {
				t.Errorf("the carrier learned the name %q", name)
			}
		}
	})
}

func TestDocument_NameGoesWithIt(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		w.sends(message.Attachment{To: a.number, Kind: media.Document, ID: w.keeps("application/pdf", []byte("%PDF")), Filename: "Plan.pdf", Caption: "see"})
		w.take()
		if got := a.got(); len(got) != 2 || got[1] != "Plan.pdf\nsee" {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestFile_EachCustomerGetsACopyUnderItsOwnKey(t *testing.T) {
	other := t.TempDir()
	withFiles(t, func(t *testing.T, w *world, a *person) {
		b := w.customer(other, "+491703333333")
		file := w.keeps("image/png", picture())
		for _, p := range []*person{a, b} {
			w.sends(message.Attachment{To: p.number, Kind: media.Image, ID: file})
		}
		w.take()
		one, err := media.ParseFileURL(a.got()[0])
		check(t, err)
		two, err := media.ParseFileURL(b.got()[0])
		check(t, err)
		if one.Key == two.Key || one.URL == two.URL {
			t.Error("two customers share a link")
		}
	})
}

func TestFile_IsFetchedFromTheBusinesssLink(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		const link = "https://shop.test/a.png"
		w.web.change(func() {
			w.web.files[link], w.web.types[link] = picture(), "image/png"
			w.web.fails = []error{errors.New("busy"), nil, errors.New("busy")} // fetching, then uploading
		})
		id := w.sends(message.Attachment{To: a.number, Kind: media.Image, Link: link})
		elapse(10 * time.Second)
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %v", got)
		}
		if got := a.got(); len(got) != 1 || !bytes.Equal(a.opens(got[0]), picture()) {
			t.Errorf("the customer got %d messages", len(got))
		}
	})
}

func TestFile_FailedUploadFailsTheMessageAndItsCaption(t *testing.T) {
	const link = "https://shop.test/a.png"
	for name, tt := range map[string]struct {
		prepare func(w *world) message.Attachment
		code    int
	}{
		"link is gone": {func(*world) message.Attachment { return message.Attachment{Kind: media.Image, Link: link} }, 131053},
		"link leads inside": {func(w *world) message.Attachment {
			w.web.fails = []error{media.ErrAddress}
			return message.Attachment{Kind: media.Image, Link: link}
		}, 131053},
		"link is too large": {func(w *world) message.Attachment {
			w.web.files[link], w.web.types[link] = make([]byte, media.Sticker.MaxSize()+1), "image/webp"
			return message.Attachment{Kind: media.Sticker, Link: link}
		}, 131053},
		"link is of another type": {func(w *world) message.Attachment {
			w.web.files[link], w.web.types[link] = picture(), "text/html"
			return message.Attachment{Kind: media.Image, Link: link}
		}, 131053},
		"no upload service": {func(w *world) message.Attachment {
			w.web.none = carrier.ErrNotFound
			return message.Attachment{Kind: media.Image, ID: w.keeps("image/png", picture())}
		}, 131053},
		"carrier refuses": {func(w *world) message.Attachment {
			w.web.none = carrier.ErrRejected
			return message.Attachment{Kind: media.Image, ID: w.keeps("image/png", picture())}
		}, 131053},
	} {
		t.Run(name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, w *world, a *person) {
				m := tt.prepare(w)
				m.To, m.Caption = a.number, "see"
				id := w.sends(m)
				events := w.take()
				if len(events) != 1 || events[0].ID != id || events[0].Status != "failed" || events[0].Code != tt.code {
					t.Errorf("the business got %+v", events)
				}
				if got := a.got(); len(got) != 0 {
					t.Errorf("the customer got %q", got)
				}
			})
		})
	}
}

// slowWeb is a Web whose Put takes its time.
type slowWeb struct {
	message.Web
	takes              time.Duration
	begun, cut, atOnce atomic.Int64
	most               atomic.Int64 // at once
}

func (w *slowWeb) Put(ctx context.Context, link string, h http.Header, body io.Reader, size int64) error {
	w.begun.Add(1)
	if n := w.atOnce.Add(1); n > w.most.Load() {
		w.most.Store(n)
	}
	defer w.atOnce.Add(-1)
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
		w.cut.Add(1)
		return ctx.Err()
	}
	return w.Web.Put(ctx, link, h, body, size)
}

// withSlowUploads runs a test of a business that sends a file to each of many at once.
func withSlowUploads(t *testing.T, files int, takes time.Duration, test func(t *testing.T, w *world, slow *slowWeb, a *person)) {
	dir := t.TempDir()
	slow := &slowWeb{takes: takes}
	inBubbleWith(t, func(w *world) {
		w.web = newWeb()
		w.ways = func(f *message.Files) *message.Files {
			slow.Web, f.Carrier = f.Carrier, slow
			return f
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		file := w.keeps("image/png", picture())
		for i := range files {
			w.sends(message.Attachment{To: number(t, fmt.Sprintf("+49151%07d", i)), Kind: media.Image, ID: file})
		}
		test(t, w, slow, a)
	})
}

func TestSlowUpload_GetsAFewFilesAtOnceAndHoldsNoTextUp(t *testing.T) {
	racing.SkipExhaustive(t)
	const files = 400
	withSlowUploads(t, files, time.Minute, func(t *testing.T, w *world, slow *slowWeb, a *person) {
		w.says(a.number, "a text")
		elapse(10 * time.Second)
		if got := a.got(); !slices.Equal(got, []string{"a text"}) {
			t.Errorf("while files wait the customer got %q", got)
		}
		elapse(20 * time.Minute)
		if n := slow.begun.Load(); n != files {
			t.Errorf("%d of %d files reached the carrier", n, files)
		}
		if n := slow.most.Load(); n < 8 || n > 32 {
			t.Errorf("%d files were under way at once", n)
		}
	})
}

func TestWaitingForATurnTakesNothingOfATransfersTime(t *testing.T) {
	racing.SkipExhaustive(t)
	const files = 96
	withSlowUploads(t, files, media.TransferTime-time.Minute, func(t *testing.T, _ *world, slow *slowWeb, _ *person) {
		elapse(4 * media.TransferTime)
		if begun, cut := slow.begun.Load(), slow.cut.Load(); begun != files || cut != 0 {
			t.Errorf("%d transfers of %d files began, and %d were cut short", begun, files, cut)
		}
	})
}

func TestDeletedFile_IsNotSent(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		file := w.keeps("image/png", picture())
		w.web.change(func() { w.web.fails = []error{errors.New("busy")} })
		id := w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: file})
		elapse(time.Millisecond)
		check(t, w.DeleteMedia(t.Context(), file))
		if err := w.DeleteMedia(t.Context(), file); !errors.Is(err, message.ErrUnknownMedia) {
			t.Errorf("deleting it again is %v", err)
		}
		if events := w.take(); len(events) != 1 || events[0].ID != id || events[0].Code != 131053 {
			t.Errorf("the business got %+v", events)
		}
	})
}

func TestFilesThatAreNotFitAreRefusedAtOnce(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		png := w.keeps("image/png", picture())
		big := w.keeps("image/webp", make([]byte, media.Sticker.MaxSize()+1))
		for name, tt := range map[string]struct {
			a    message.Attachment
			want error
		}{
			"unknown":    {message.Attachment{Kind: media.Image, ID: "1234567890123456"}, message.ErrUnknownMedia},
			"no id":      {message.Attachment{Kind: media.Image, ID: "photo"}, message.ErrUnknownMedia},
			"other kind": {message.Attachment{Kind: media.Video, ID: png}, message.ErrMediaKind},
			"too large":  {message.Attachment{Kind: media.Sticker, ID: big}, message.ErrMediaTooLarge},
		} {
			tt.a.To = a.number
			if _, err := w.AcceptAttachment(t.Context(), tt.a); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := w.StoreMedia(t.Context(), message.Upload{Body: bytes.NewReader(picture()), Limit: 10})
		if !errors.Is(err, message.ErrMediaTooLarge) {
			t.Errorf("a file above its limit is %v", err)
		}
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestFile_CanBeReadFromAnyPlace(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, _ *person) {
		content := picture()
		_, r, err := w.OpenMedia(t.Context(), w.keeps("image/png", content))
		check(t, err)
		for _, at := range []int64{store.MediaChunk - 1, 0, int64(len(content)) - 3, store.MediaChunk} {
			_, err := r.Seek(at, io.SeekStart)
			check(t, err)
			got := make([]byte, 3)
			_, err = io.ReadFull(r, got)
			if err != nil || !bytes.Equal(got, content[at:at+3]) {
				t.Errorf("at %d it reads %q: %v", at, got, err)
			}
		}
		if _, err := r.Seek(-1, io.SeekStart); err == nil {
			t.Error("before the beginning there is something")
		}
	})
}

func TestFilesLeaveRoomForMessages(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		w.web.change(func() { w.web.full = true })
		_, err := w.StoreMedia(t.Context(), message.Upload{MIME: "image/png", Body: bytes.NewReader(picture()), Limit: media.MaxSize})
		if !errors.Is(err, message.ErrNoRoom) {
			t.Errorf("a file on a full volume is %v", err)
		}
		a.says(w.number, a.hands(upload, picture()).Text())
		a.says(w.number, "a text")
		if got := texts(w.take()); !slices.Equal(got, []string{"a text"}) {
			t.Errorf("meanwhile the business got %q", got)
		}
		w.web.change(func() { w.web.full = false })
		elapse(time.Minute)
		if events := w.take(); len(events) != 1 || events[0].Type != "image" {
			t.Errorf("the business got %+v", events)
		}
	})
}

// zeros is an endless file that notes how much memory was in use while it was read.
type zeros struct{ peak uint64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	z.peak = max(z.peak, m.HeapAlloc)
	return len(p), nil
}

func TestFile_LargePassesInLittleMemory(t *testing.T) {
	const size, room = 40 << 20, 16 << 20
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		w.web = newWeb()
		w.start()
		defer w.stop()
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		var z zeros
		id, err := w.StoreMedia(t.Context(), message.Upload{MIME: "application/pdf", Body: io.LimitReader(&z, size), Limit: media.MaxSize})
		check(t, err)
		_, r, err := w.OpenMedia(t.Context(), id)
		check(t, err)
		l := media.NewFileURL()
		sealed, err := l.Encrypt(r)
		check(t, err)
		n, err := io.Copy(io.Discard, io.TeeReader(sealed, writerFunc(func([]byte) { _, _ = z.Read(nil) })))
		if err != nil || n != size+media.TagSize {
			t.Errorf("%d bytes came back: %v", n, err)
		}
		if z.peak > before.HeapAlloc+room {
			t.Errorf("a file of %d MiB took %d MiB of memory", size>>20, (z.peak-before.HeapAlloc)>>20)
		}
	})
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestCaption_BelowAFileReachesTheBusiness(t *testing.T) {
	const sound = "https://relay.test/upload/1/note.ogg"
	for name, test := range map[string]struct {
		text func(a *person) string
		want []event // without ids and files
	}{
		"a picture's caption": {
			func(a *person) string {
				return a.hands(upload, picture()).Text() + "\ndata:image/jpeg,AAAA\nmy\nreceipt"
			},
			[]event{{Type: "image", File: file{Caption: "my\nreceipt"}}},
		},
		"the text below what has no captions": {
			func(a *person) string { return a.hands(sound, []byte("OggS\x00")).Text() + "\nlisten" },
			[]event{{Type: "audio"}, {Type: "text", Text: "listen"}},
		},
		"the text below a file that cannot be fetched": {
			func(a *person) string {
				l := media.NewFileURL()
				l.URL = "https://elsewhere.test/x.png"
				return l.Text() + "\nmy receipt"
			},
			[]event{{Type: "unsupported", Code: 131052}, {Type: "text", Text: "my receipt"}},
		},
		"two files with texts": {
			func(a *person) string {
				return "look:\n" + a.hands(upload, picture()).Text() + "\none\n" + a.hands(upload+".png", picture()).Text() + "\ntwo"
			},
			[]event{{Type: "text", Text: "look:"}, {Type: "image", File: file{Caption: "one"}}, {Type: "image", File: file{Caption: "two"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, w *world, a *person) {
				text := test.text(a)
				w.keepSecret("my receipt")
				underOneID(w)
				a.says(w.number, text)
				a.says(w.number, text) // its copy
				elapse(time.Minute)
				got := w.take()
				for i, e := range got {
					got[i] = event{Type: e.Type, Text: e.Text, Code: e.Code, File: file{Caption: e.File.Caption}}
				}
				slices.SortFunc(got, func(a, b event) int { return strings.Compare(a.File.Caption, b.File.Caption) })
				slices.SortStableFunc(got, func(a, b event) int { return strings.Compare(kindFirst(a), kindFirst(b)) })
				if !slices.Equal(got, test.want) {
					t.Errorf("the business got %+v, want %+v", got, test.want)
				}
			})
		})
	}
}

// kindFirst orders files, which are told when they are there, behind the text above them
// and before the text below.
func kindFirst(e event) string {
	if e.Text == "look:" {
		return ""
	}
	return map[bool]string{true: "b", false: "a"}[e.Type == "text"]
}
