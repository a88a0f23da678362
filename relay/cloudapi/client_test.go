package cloudapi_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/piusalfred/whatsapp/config"
	"github.com/piusalfred/whatsapp/message"
	werrors "github.com/piusalfred/whatsapp/pkg/errors"
	whttp "github.com/piusalfred/whatsapp/pkg/http"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// client returns a published client of the Cloud API that talks to api. It refuses
// answers with fields that it does not know.
func client(t *testing.T, api *cloudapi.API, token string) *message.Client {
	t.Helper()
	server := httptest.NewServer(written().handler(api))
	t.Cleanup(server.Close)
	read := config.ReaderFunc(func(context.Context) (*config.Config, error) {
		return &config.Config{BaseURL: server.URL, APIVersion: "v23.0", AccessToken: token, PhoneNumberID: numberID}, nil
	})
	c, err := message.NewClient(t.Context(), read, whttp.NewSender[message.Message]())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func text(body string) *message.Request[message.Text] {
	return &message.Request[message.Text]{Recipient: "16505551234", Message: &message.Text{Body: body}}
}

func TestPublishedClient_SendsText(t *testing.T) {
	s := &service{}
	answer, err := client(t, cloudapi.New(options(t, s)), token).SendText(t.Context(), text("Hello"))
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Messages) != 1 || answer.Messages[0].ID != wamid || answer.Contacts[0].WhatsappID != "16505551234" {
		t.Errorf("decoded %+v", answer)
	}
	if len(s.texts) != 1 || s.texts[0].Body != "Hello" {
		t.Error("the text did not reach the service")
	}
}

func TestPublishedClient_MarksAsRead(t *testing.T) {
	s := &service{}
	answer, err := client(t, cloudapi.New(options(t, s)), token).UpdateStatus(t.Context(), &message.StatusUpdateRequest{
		MessageID: wamid, Status: message.StatusRead, WithTypingIndicator: true,
	})
	if err != nil || !answer.Success {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	if len(s.reads) != 1 || !s.reads[0].Typing {
		t.Errorf("reached the service: %+v", s.reads)
	}
}

func TestPublishedClient_UnderstandsOurErrors(t *testing.T) {
	_, err := client(t, cloudapi.New(options(t, &service{})), "wrong").SendText(t.Context(), text("Hello"))
	var answer *werrors.Error
	if !errors.As(err, &answer) || answer.Code != cloudapi.CodeToken || answer.FBTraceID == "" {
		t.Errorf("got %v, want the API's error 190", err)
	}
}
