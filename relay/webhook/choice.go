package webhook

import "github.com/relaykeep/relaykeep/relay/rich"

// Chosen is an answer that a message of the business offered. Kind is "button_reply", "list_reply" or, of a
// template's, "button".
type Chosen struct {
	rich.Choice
	Kind string `json:"kind"`
}

// interactive is the wire form of an answer (developers.facebook.com, "Webhooks, messages": "Interactive").
type interactive struct {
	Type   string       `json:"type"`
	Button *rich.Choice `json:"button_reply,omitempty"`
	List   *rich.Choice `json:"list_reply,omitempty"`
}

// button is the wire form of the answer to a template ("Webhooks, messages": "Button").
type button struct {
	Payload string `json:"payload"`
	Text    string `json:"text"`
}

// write makes a message one of the answer.
func (c Chosen) write(m *message) {
	m.Text = nil
	if c.Kind == "button" {
		m.Type, m.Button = c.Kind, &button{Payload: c.ID, Text: c.Title}
		return
	}
	m.Type, m.Interactive = "interactive", c.wire()
}

func (c Chosen) wire() *interactive {
	if c.Kind == "list_reply" {
		return &interactive{Type: c.Kind, List: &c.Choice}
	}
	return &interactive{Type: "button_reply", Button: &c.Choice}
}
