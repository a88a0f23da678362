// Package sce reads and writes the envelopes of XEP-0420 (Stanza Content Encryption) in the profile of
// OMEMO2: XML with what a message says and affixes that bind it to its sender. What it reads was
// authenticated by a session, but the peer may have written anything. It must not know how an envelope
// is encrypted.
package sce

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/carrier/sharing"
)

// Namespaces.
const (
	nsSCE      = "urn:xmpp:sce:1"
	nsClient   = "jabber:client"
	nsReceipts = "urn:xmpp:receipts"       // XEP-0184
	nsMarkers  = "urn:xmpp:chat-markers:0" // XEP-0333
	nsOMEMO2   = "urn:xmpp:omemo:2"        // XEP-0384 v0.9
)

// Limits on what is read. An envelope's length is its caller's to limit.
const (
	maxDepth    = 32
	maxElements = 4096
	maxAttrs    = 64
	maxReceipts = 8   // clients send one
	maxID       = 256 // bytes of the id of another message
	maxReason   = 512 // bytes of the reason of an opt-out
	// maxPadding is how long the padding that we write may be, in bytes; XEP-0420 has 200.
	maxPadding = 200
)

var (
	// ErrMalformed means that an envelope is not XML, breaks a limit, or is not an envelope.
	ErrMalformed = errors.New("malformed envelope")
	// ErrParties means that an envelope was written by someone else, or to someone else, than the
	// message that brought it says.
	ErrParties = errors.New("the envelope is another conversation's")
)

// Envelope is what is encrypted.
type Envelope struct {
	From    string // the sender's bare address
	Time    time.Time
	Content Content
}

// Content is what a message says, as far as we understand it.
type Content struct {
	Body                    []byte // nil for none
	WantsReceipt, WantsRead bool
	// Received and Displayed are the ids of messages that the peer confirms. They are read, never written.
	Received, Displayed []string
	// OptsOut says that the sender asks for messages without OMEMO, for that reason: at most maxReason bytes,
	// in one line; empty for none.
	OptsOut bool
	Reason  string
	// About is what the message says about others. Of several emoji only the first is written. Author is
	// the address of whom the answered message is from; it is written, never read.
	About  about.Said
	Author string
	// Shared is what the message says about files.
	Shared sharing.Shared
}

// Parties are the bare addresses of the message that brought an envelope.
type Parties struct{ From, To string }

// Seal writes an envelope. Characters that XML does not have are replaced.
func Seal(e Envelope) ([]byte, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(maxPadding+1))
	if err != nil {
		return nil, fmt.Errorf("padding an envelope: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(`<envelope xmlns="` + nsSCE + `"><content>`)
	for _, t := range e.Content.trees() {
		write(&b, t, nsSCE)
	}
	b.WriteString(`</content><rpad>` + padding(int(n.Int64())) + `</rpad><time stamp="` + e.Time.UTC().Format(time.RFC3339) + `"/><from jid="`)
	_ = xml.EscapeText(&b, []byte(e.From))
	b.WriteString(`"/></envelope>`)
	return b.Bytes(), nil
}

// trees returns the content's elements.
func (c Content) trees() (out []about.Tree) {
	if c.Body != nil {
		out = append(out, about.Tree{Space: nsClient, Local: "body", Text: string(c.Body)})
	}
	out = append(out, sharing.Write(c.Shared.Files)...)
	out = append(out, about.References(c.About.References, c.Author)...)
	if c.About.Reacts {
		emoji := ""
		if len(c.About.Emoji) > 0 {
			emoji = c.About.Emoji[0]
		}
		out = append(out, about.Reaction(c.About.ReactsTo, emoji))
	}
	if c.About.Retracts {
		out = append(out, about.Retraction(c.About.Takes))
	}
	if c.OptsOut {
		reason := about.Tree{Space: nsOMEMO2, Local: "reason", Text: c.Reason}
		out = append(out, about.Tree{Space: nsOMEMO2, Local: "opt-out", Children: []about.Tree{reason}})
	}
	if c.WantsReceipt {
		out = append(out, about.Tree{Space: nsReceipts, Local: "request"})
	}
	if c.WantsRead {
		out = append(out, about.Tree{Space: nsMarkers, Local: "markable"})
	}
	return out
}

// padding returns n random characters.
func padding(n int) string {
	random := make([]byte, n)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(random)[:n]
}

// Open reads an envelope and checks whom it is from. The profile has "from" as recommended only: an
// envelope without it is read, as a legacy message is. A "to" belongs to group chats, in which we are
// not; one that is not our address shows that such a message was redirected.
func Open(b []byte, p Parties) (Content, error) {
	root, err := parse(b)
	if err != nil {
		return Content{}, err
	}
	if !root.Is(nsSCE, "envelope") {
		return Content{}, ErrMalformed
	}
	var content *element
	seen := map[string]bool{}
	for _, c := range root.children {
		if c.name.Space != nsSCE {
			continue
		}
		if seen[c.name.Local] { // readers differ about which counts
			return Content{}, ErrMalformed
		}
		seen[c.name.Local] = true
		switch c.name.Local {
		case "content":
			content = c
		case "from":
			err = errors.Join(err, c.names(p.From))
		case "to":
			err = errors.Join(err, c.names(p.To))
		case "time":
			if _, failed := time.Parse(time.RFC3339, c.Attr("stamp")); failed != nil {
				err = errors.Join(err, ErrMalformed)
			}
		}
	}
	switch {
	case err != nil:
		return Content{}, err
	case content == nil:
		return Content{}, ErrMalformed
	}
	return content.said(), nil
}

// names checks that an affix names an account.
func (e *element) names(account string) error {
	bare, _, _ := strings.Cut(e.Attr("jid"), "/")
	if account == "" || bare != account {
		return ErrParties
	}
	return nil
}

// said reads a message's content. What it does not know it skips.
func (e *element) said() (c Content) {
	c.About, c.Shared = about.Read(e, idOf), sharing.Read(e)
	for _, x := range e.children {
		switch {
		case x.Is(nsClient, "body") && c.Body == nil:
			c.Body = append([]byte{}, x.text...)
		case x.Is(nsOMEMO2, "opt-out"):
			c.OptsOut, c.Reason = true, reasonIn(x)
		case x.Is(nsReceipts, "request"):
			c.WantsReceipt = true
		case x.Is(nsMarkers, "markable"):
			c.WantsRead = true
		case x.Is(nsReceipts, "received"), x.Is(nsMarkers, "received"):
			c.Received = receipt(c.Received, x)
		case x.Is(nsMarkers, "displayed"), x.Is(nsMarkers, "acknowledged"):
			c.Displayed = receipt(c.Displayed, x)
		}
	}
	return c
}

// reasonIn returns the reason that an opt-out gives.
func reasonIn(optOut *element) string {
	for _, c := range optOut.children {
		if c.Is(nsOMEMO2, "reason") {
			line := strings.Join(strings.Fields(c.Words()), " ")
			return strings.ToValidUTF8(line[:min(len(line), maxReason)], "")
		}
	}
	return ""
}

// receipt adds the id that a receipt names.
func receipt(ids []string, e *element) []string {
	if id := idOf(e); id != "" && len(ids) < maxReceipts {
		ids = append(ids, id)
	}
	return ids
}

// idOf returns the id of the message that an element names, or "" if it is too long.
func idOf(e about.Element) string {
	id := e.Attr("id")
	if len(id) > maxID {
		return ""
	}
	return id
}
