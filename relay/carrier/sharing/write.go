package sharing

import (
	"encoding/base64"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/media"
)

// Write writes files with their keys, for an envelope: never for a stanza. It also says that the body only
// repeats them. A file without a link is left out.
func Write(files []carrier.SharedFile) (out []about.Tree) {
	for _, f := range files {
		if l, err := media.ParseSource(f.Link); err == nil {
			sources := about.Tree{Space: nsSharing, Local: "sources", Children: []about.Tree{encrypted(l)}}
			out = append(out, about.Tree{Space: nsSharing, Local: "file-sharing", Children: []about.Tree{metadata(f), sources}})
		}
	}
	if len(out) == 0 {
		return nil
	}
	body := about.Tree{Space: about.NSFallback, Local: "body"}
	return append(out, about.Tree{Space: about.NSFallback, Local: "fallback", Attrs: []string{"for", nsSharing}, Children: []about.Tree{body}})
}

func metadata(f carrier.SharedFile) about.Tree {
	t := about.Tree{Space: nsFile, Local: "file"}
	add := func(space, local, text string, attrs ...string) {
		if text != "" {
			t.Children = append(t.Children, about.Tree{Space: space, Local: local, Attrs: attrs, Text: text})
		}
	}
	add(nsFile, "media-type", f.MIME)
	add(nsFile, "name", f.Name)
	if f.Size >= 0 {
		add(nsFile, "size", strconv.FormatInt(f.Size, 10))
	}
	add(nsHashes, "hash", base64.StdEncoding.EncodeToString(f.SHA256), "algo", "sha-256")
	return t
}

func encrypted(l media.FileURL) about.Tree {
	t := about.Tree{Space: nsEncrypted, Local: "encrypted", Attrs: []string{"cipher", cipherGCM}}
	if l.CBC {
		t.Attrs[1] = cipherCBC
	}
	text := func(local string, b []byte) about.Tree {
		return about.Tree{Space: nsEncrypted, Local: local, Text: base64.StdEncoding.EncodeToString(b)}
	}
	source := about.Tree{Space: nsURL, Local: "url-data", Attrs: []string{"target", l.URL}}
	t.Children = []about.Tree{
		text("key", l.Key[:]), text("iv", l.IV), {Space: nsSharing, Local: "sources", Children: []about.Tree{source}},
	}
	return t
}
