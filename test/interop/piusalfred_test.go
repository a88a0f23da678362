package interop_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	profile "github.com/piusalfred/whatsapp/business"
	"github.com/piusalfred/whatsapp/config"
	clientmedia "github.com/piusalfred/whatsapp/media"
	"github.com/piusalfred/whatsapp/message"
	"github.com/piusalfred/whatsapp/phonenumber"
	werrors "github.com/piusalfred/whatsapp/pkg/errors"
	whttp "github.com/piusalfred/whatsapp/pkg/http"
	"github.com/piusalfred/whatsapp/settings"
	"github.com/piusalfred/whatsapp/user"

	"github.com/relaykeep/relaykeep/test/await"
)

// goClient is github.com/piusalfred/whatsapp, which refuses answers with fields that it does not know.
type goClient struct {
	*client
	read config.Reader
	http *http.Client
	say  *message.Client
}

// piusalfred does what github.com/piusalfred/whatsapp can.
func (o *office) piusalfred(t *testing.T) {
	_, port, err := net.SplitHostPort(o.Endpoint())
	check(t, err)
	read := config.ReaderFunc(func(context.Context) (*config.Config, error) {
		return &config.Config{
			BaseURL: "https://" + net.JoinHostPort(o.Config.Endpoint.Host, port), APIVersion: "v23.0", AccessToken: o.Token, PhoneNumberID: o.NumberID, BusinessAccountID: o.accountID,
			AppSecret: o.Known().WebhookSecret, SecureRequests: true, // which adds an appsecret_proof
		}, nil
	})
	web := &http.Client{Timeout: await.Patience, Transport: &http.Transport{ // the host's name has no address here
		TLSClientConfig: o.Client.Transport.(*http.Transport).TLSClientConfig,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, o.Endpoint())
		},
	}}
	t.Cleanup(web.CloseIdleConnections)
	say, err := message.NewClient(t.Context(), read, whttp.NewSender(whttp.WithCoreClientHTTPClient[message.Message](web)))
	check(t, err)
	c := &goClient{o.client(t, nil, "+491708880003"), read, web, say}
	hello := c.customerText("Can you hear me?")
	c.messages(hello)
	c.interactive()
	c.template()
	c.files()
	c.number()
	c.blocks()
}

func request[T any](c *goClient, m *T) *message.Request[T] {
	return message.NewRequest("+"+c.from, m)
}

// took wants that a message was accepted.
func (c *goClient) took(answer *message.Response, err error) {
	c.t.Helper()
	if err != nil || len(answer.Messages) != 1 || answer.Contacts[0].WhatsappID != c.from {
		c.t.Errorf("the answer is %+v, %v", answer, err)
	}
}

func (c *goClient) messages(hello string) {
	ctx := c.t.Context()
	c.took(c.say.SendText(ctx, request(c, &message.Text{Body: "Loud and clear", PreviewURL: true})))
	c.shows("Loud and clear")
	reply := request(c, &message.Text{Body: "every word"})
	reply.ReplyTo = hello
	c.took(c.say.SendText(ctx, reply))
	c.shows("> Can you hear me?", "every word")
	c.took(c.say.SendReaction(ctx, request(c, &message.Reaction{MessageID: hello, Emoji: "👂"})))
	c.shows("👂")
	c.took(c.say.SendLocation(ctx, request(c, &message.Location{Latitude: 52.5, Longitude: 13.4, Name: "The shop", Address: "Am Markt 1"})))
	c.shows("The shop", "geo:52.5,13.4")
	contacts := message.Contacts{message.NewContact(
		message.WithContactName(&message.Name{FormattedName: "Jane Roe", FirstName: "Jane"}), message.WithContactPhones(&message.Phone{Phone: "+4930123456", Type: "WORK"}),
	)}
	c.took(c.say.SendContacts(ctx, request(c, &contacts)))
	c.shows("Jane Roe", "+4930123456")
	status, err := c.say.UpdateStatus(ctx, &message.StatusUpdateRequest{MessageID: hello, Status: message.StatusRead, WithTypingIndicator: true})
	if err != nil || !status.Success {
		c.t.Errorf("marking as read: %+v, %v", status, err)
	}
}

func (c *goClient) interactive() {
	ctx := c.t.Context()
	prompt := "Where are you?"
	c.took(c.say.RequestLocation(ctx, request(c, &prompt)))
	c.shows(prompt)
	c.took(c.say.SendInteractiveMessage(ctx, request(c, message.NewInteractiveCTAURLButton(&message.InteractiveCTARequest{
		DisplayText: "Dates", URL: "https://shop.test/dates", Body: "See the dates.", Footer: "Soon",
		Header: &message.InteractiveHeader{Type: "text", Text: "News"},
	}))))
	c.shows("News", "See the dates.", "https://shop.test/dates", "Soon")
	_, err := c.say.SendInteractiveMessage(ctx, request(c, message.NewInteractiveCallPermissionRequest("May we?")))
	c.wantCode("asking to call", err, 131051)
}

func (c *goClient) template() {
	c.office.wantOK(c.office.Ask(http.MethodPost, "/"+c.office.accountID+"/message_templates", "application/json", []byte(
		`{"name":"parcel","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"Parcel {{1}} is here."},
		{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Keep it"}]}]}`)))
	c.took(c.say.SendTemplate(c.t.Context(), request(c, &message.Template{
		Name: "parcel", Language: &message.TemplateLanguage{Code: "en", Policy: "deterministic"},
		Components: []*message.TemplateComponent{
			{Type: "body", Parameters: []*message.TemplateParameter{{Type: "text", Text: "4711"}}},
			{Type: "button", SubType: "quick_reply", Parameters: []*message.TemplateParameter{{Type: "payload", Payload: "keep"}}},
		},
	})))
	c.shows("Parcel 4711 is here.", "Keep it")
}

func (c *goClient) files() {
	ctx := c.t.Context()
	files := clientmedia.NewBaseClient(c.read, whttp.NewAnySender(whttp.WithCoreClientHTTPClient[any](c.http)))
	path := filepath.Join(c.t.TempDir(), "photo.jpg")
	check(c.t, os.WriteFile(path, []byte(picture), 0o600))
	kept, err := files.Upload(ctx, &clientmedia.UploadRequest{MediaType: clientmedia.TypeImageJPEG, Filepath: path})
	check(c.t, err)
	c.took(c.say.SendImage(ctx, request(c, &message.Image{ID: kept.ID, Caption: "A photo"})))
	c.shows("A photo")
	c.gets(picture)
	c.took(c.say.SendDocument(ctx, request(c, &message.Document{Link: c.office.shop, Filename: "offer.pdf"})))
	c.gets(offer)
	_, received := c.attaches("theirs.jpg", picture+" of theirs")
	info, err := files.GetInfo(ctx, &clientmedia.BaseRequest{MediaID: received, RestrictToOwnMedia: true})
	check(c.t, err)
	err = files.Download(ctx, &clientmedia.DownloadRequest{URL: info.URL}, whttp.ResponseDecoderFunc(func(_ context.Context, r *http.Response) error {
		content, err := io.ReadAll(r.Body)
		if err == nil && string(content) != picture+" of theirs" {
			c.t.Errorf("downloaded %d bytes", len(content))
		}
		return err
	}))
	check(c.t, err)
	deleted, err := files.Delete(ctx, &clientmedia.BaseRequest{MediaID: kept.ID, RestrictToOwnMedia: true})
	if err != nil || !deleted.Success {
		c.t.Errorf("deleting: %+v, %v", deleted, err)
	}
	_, err = files.GetInfo(ctx, &clientmedia.BaseRequest{MediaID: kept.ID})
	c.wantCode("describing what was deleted", err, 100)
}

func (c *goClient) number() {
	ctx := c.t.Context()
	sender := whttp.NewAnySender(whttp.WithCoreClientHTTPClient[any](c.http))
	numbers, err := phonenumber.NewBaseClient(c.read, &phonenumber.BaseSender{Sender: sender})
	check(c.t, err)
	// It refuses fields that the hosted API's list has as well, and separates the fields that it asks for with semicolons.
	_, err = numbers.List(ctx)
	c.itself("listing numbers", err, "platform_type")
	_, err = numbers.Get(ctx, &phonenumber.GetRequest{Fields: []string{"id", "display_phone_number"}})
	c.wantCode("the number by two fields", err, 100)
	profiles, err := profile.NewBaseClient(&profile.BaseSender{Sender: sender}, c.read).Get(ctx, []string{"about", "email"})
	if err != nil || len(profiles) != 1 {
		c.t.Errorf("profiles: %+v, %v", profiles, err)
	}
	if _, err := settings.NewClient(c.read, settings.NewBaseClient(sender)).GetSettings(ctx, &settings.GetSettingsRequest{}); err != nil {
		c.t.Error(err)
	}
}

func (c *goClient) blocks() {
	ctx := c.t.Context()
	list := user.NewBlockClient(c.read, whttp.NewSender(whttp.WithCoreClientHTTPClient[user.BlockBaseRequest](c.http)))
	blocked, err := list.Block(ctx, []string{"+" + c.from})
	if err != nil || len(blocked.BlockUsers.AddedUsers) != 1 || blocked.BlockUsers.AddedUsers[0].WaID != c.from {
		c.t.Errorf("blocking: %+v, %v", blocked, err)
	}
	// It refuses removed_users in the answer, but the customer is unblocked.
	_, err = list.Unblock(ctx, []string{"+" + c.from})
	c.itself("unblocking", err, "removed_users")
	left, err := list.ListBlocked(ctx, nil)
	if err != nil || len(left.Data) != 0 {
		c.t.Errorf("blocked: %+v, %v", left, err)
	}
}

// itself wants an error that the client makes of an answer that is right.
func (c *goClient) itself(what string, err error, about string) {
	c.t.Helper()
	if err == nil || !strings.Contains(err.Error(), about) {
		c.t.Errorf("%s: %v, want an error about %s", what, err, about)
	}
}

func (c *goClient) wantCode(what string, err error, code int) {
	c.t.Helper()
	var e *werrors.Error
	if !errors.As(err, &e) || e.Code != code {
		c.t.Errorf("%s: %v, want code %d", what, err, code)
	}
}
