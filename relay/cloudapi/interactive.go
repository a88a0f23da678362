package cloudapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/relaykeep/relaykeep/relay/rich"
)

// Limits of interactive messages, in characters unless they say otherwise ("Interactive messages").
const (
	maxInteractiveBody = 1024
	maxListBody        = 4096
	maxFooter          = 60
	maxHeader          = 60
	maxButtons         = 3
	maxRows            = 10 // in all sections
	maxSections        = 10
	maxButtonID        = 256
	maxRowID           = 200
	maxButtonTitle     = 20
	maxRowTitle        = 24
	maxRowDescription  = 72
	maxWebURL          = 2000 // bytes
)

// Kinds of choices, as the webhook of an answer names them.
const (
	ButtonReply = "button_reply"
	ListReply   = "list_reply"
	ButtonPress = "button" // of a template's
)

// interactiveObject is the content of an interactive message.
type interactiveObject struct {
	Type   string        `json:"type"`
	Header *headerObject `json:"header"`
	Body   *textField    `json:"body"`
	Footer *textField    `json:"footer"`
	Action *actionObject `json:"action"`
}

type headerObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type textField struct {
	Text string `json:"text"`
}

// actionObject is what a customer can do with the message.
type actionObject struct {
	Name       string          `json:"name"`
	Button     string          `json:"button"`
	Buttons    []buttonObject  `json:"buttons"`
	Sections   []sectionObject `json:"sections"`
	Parameters *struct {
		DisplayText string `json:"display_text"`
		URL         string `json:"url"`
	} `json:"parameters"`
}

type buttonObject struct {
	Type  string    `json:"type"`
	Reply rowObject `json:"reply"`
}

type sectionObject struct {
	Title string      `json:"title"`
	Rows  []rowObject `json:"rows"`
}

type rowObject struct {
	ID          identifier `json:"id"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
}

// UnmarshalJSON implements json.Unmarshaler: older inboxes write the action as a string of JSON.
func (a *actionObject) UnmarshalJSON(b []byte) error {
	type plain actionObject
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		b = []byte(text)
	}
	return json.Unmarshal(b, (*plain)(a))
}

// text checks an interactive message and returns it as a text with its choices, to nobody yet.
func (o *interactiveObject) text() (*Text, error) {
	switch {
	case o == nil:
		return nil, errMissing("interactive")
	case o.Type == "":
		return nil, errMissing("interactive.type")
	case !slices.Contains([]string{"button", "list", "cta_url", "location_request_message"}, o.Type):
		return nil, coded(http.StatusBadRequest, CodeUnsupportedType, "Unsupported message type",
			"This relay sends interactive messages of the types button, list, cta_url and location_request_message.")
	}
	m, err := o.frame()
	if err != nil {
		return nil, err
	}
	t := &Text{}
	switch o.Type {
	case "button":
		t.ChoiceKind = ButtonReply
		m.Sections, err = o.Action.buttons()
	case "list":
		t.ChoiceKind = ListReply
		m.Sections, err = o.Action.list()
	case "cta_url":
		m.Links, err = o.Action.link()
	default: // location_request_message
		if o.Action.Name != "send_location" {
			err = errInvalidValue(`interactive.action.name must be "send_location".`)
		}
	}
	if err != nil {
		return nil, err
	}
	t.Body, t.Choices = m.Text(), m.Choices()
	return t, nil
}

// frame reads what all interactive messages have: header, body and footer.
func (o *interactiveObject) frame() (m rich.Interactive, err error) {
	most := maxInteractiveBody
	if o.Type == "list" {
		most = maxListBody
	}
	switch {
	case o.Body == nil || o.Body.Text == "":
		return m, errMissing("interactive.body.text")
	case o.Action == nil:
		return m, errMissing("interactive.action")
	case o.Header != nil && o.Header.Type != "text":
		return m, errInvalidValue(`interactive.header.type must be "text": send a file as a message of its own.`)
	}
	m.Body = o.Body.Text
	if o.Header != nil {
		m.Header = o.Header.Text
	}
	if o.Footer != nil {
		m.Footer = o.Footer.Text
	}
	return m, cmp.Or(atMost("interactive.body.text", m.Body, most), atMost("interactive.header.text", m.Header, maxHeader),
		atMost("interactive.footer.text", m.Footer, maxFooter))
}

func (a *actionObject) buttons() ([]rich.Section, error) {
	if n := len(a.Buttons); n < 1 || n > maxButtons {
		return nil, errInvalidParameter(fmt.Sprintf("Param interactive.action.buttons must have 1 to %d buttons.", maxButtons))
	}
	var rows []rowObject
	for _, b := range a.Buttons {
		if b.Type != "" && b.Type != "reply" {
			return nil, errInvalidValue(`interactive.action.buttons.type must be "reply".`)
		}
		b.Reply.Description = ""
		rows = append(rows, b.Reply)
	}
	choices, err := choicesOf("interactive.action.buttons.reply", rows, maxButtonID, maxButtonTitle)
	return []rich.Section{{Choices: choices}}, err
}

func (a *actionObject) list() (sections []rich.Section, err error) {
	if n := len(a.Sections); n < 1 || n > maxSections {
		return nil, errInvalidParameter(fmt.Sprintf("Param interactive.action.sections must have 1 to %d sections.", maxSections))
	}
	var all []rowObject
	for _, s := range a.Sections {
		if s.Title == "" && len(a.Sections) > 1 {
			return nil, errMissing("interactive.action.sections.title")
		}
		if err := atMost("interactive.action.sections.title", s.Title, maxRowTitle); err != nil {
			return nil, err
		}
		all = append(all, s.Rows...)
	}
	if n := len(all); n < 1 || n > maxRows {
		return nil, errInvalidParameter(fmt.Sprintf("Param interactive.action.sections must have 1 to %d rows in all.", maxRows))
	}
	choices, err := choicesOf("interactive.action.sections.rows", all, maxRowID, maxRowTitle)
	if err != nil {
		return nil, err
	}
	for _, s := range a.Sections {
		sections = append(sections, rich.Section{Title: s.Title, Choices: choices[:len(s.Rows):len(s.Rows)]})
		choices = choices[len(s.Rows):]
	}
	return sections, cmp.Or(required("interactive.action.button", a.Button), atMost("interactive.action.button", a.Button, maxButtonTitle))
}

// choicesOf checks the choices of a message. Two of the same id or title could not be told apart.
func choicesOf(param string, rows []rowObject, maxID, maxTitle int) (choices []rich.Choice, err error) {
	seen := map[string]bool{}
	for _, r := range rows {
		id, title := "id "+string(r.ID), "title "+r.Title
		if seen[id] || seen[title] {
			return nil, errInvalidParameter(fmt.Sprintf("Params %s.id and %s.title must each be unique.", param, param))
		}
		seen[id], seen[title] = true, true
		err = cmp.Or(required(param+".id", string(r.ID)), required(param+".title", r.Title), atMost(param+".id", string(r.ID), maxID),
			atMost(param+".title", r.Title, maxTitle), atMost(param+".description", r.Description, maxRowDescription))
		if err != nil {
			return nil, err
		}
		choices = append(choices, rich.Choice{ID: string(r.ID), Title: r.Title, Description: r.Description})
	}
	return choices, nil
}

func (a *actionObject) link() ([]rich.Link, error) {
	switch {
	case a.Name != "cta_url":
		return nil, errInvalidValue(`interactive.action.name must be "cta_url".`)
	case a.Parameters == nil:
		return nil, errMissing("interactive.action.parameters")
	}
	l := rich.Link{Label: a.Parameters.DisplayText, Target: a.Parameters.URL}
	const param = "interactive.action.parameters.display_text"
	return []rich.Link{l}, cmp.Or(webURL("interactive.action.parameters.url", l.Target), required(param, l.Label), atMost(param, l.Label, maxButtonTitle))
}
