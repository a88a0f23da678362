package about

import (
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Tree is an element to write.
type Tree struct {
	Space, Local string
	Attrs        []string // pairs of name and value; those with an empty value are left out
	Text         string
	Children     []Tree
}

// References writes which messages a text is about. Author is the address of whom the answered message is
// from.
func References(refs carrier.References, author string) (out []Tree) {
	if refs.ReplyTo != "" {
		out = append(out, Tree{Space: NSReply, Local: "reply", Attrs: []string{"to", author, "id", refs.ReplyTo}})
	}
	if refs.ReplyTo != "" && refs.Quote.End > 0 {
		body := Tree{Space: NSFallback, Local: "body", Attrs: []string{"start", strconv.Itoa(refs.Quote.Start), "end", strconv.Itoa(refs.Quote.End)}}
		out = append(out, Tree{Space: NSFallback, Local: "fallback", Attrs: []string{"for", NSReply}, Children: []Tree{body}})
	}
	if refs.Corrects != "" {
		out = append(out, Tree{Space: NSCorrect, Local: "replace", Attrs: []string{"id", refs.Corrects}})
	}
	return out
}

// Reaction writes a reaction to a message. An empty one removes the reaction.
func Reaction(id, emoji string) Tree {
	t := Tree{Space: NSReactions, Local: "reactions", Attrs: []string{"id", id}}
	if emoji != "" {
		t.Children = []Tree{{Space: NSReactions, Local: "reaction", Text: emoji}}
	}
	return t
}

// Retraction writes that a message is taken back.
func Retraction(id string) Tree {
	return Tree{Space: NSRetract, Local: "retract", Attrs: []string{"id", id}}
}
