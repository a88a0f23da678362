package webhook

import "github.com/relaykeep/relaykeep/relay/rich"

// Chosen is an answer that a message of the business offered. Kind is "button_reply" or "list_reply".
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

func (c Chosen) wire() *interactive {
	if c.Kind == "list_reply" {
		return &interactive{Type: c.Kind, List: &c.Choice}
	}
	return &interactive{Type: "button_reply", Button: &c.Choice}
}
