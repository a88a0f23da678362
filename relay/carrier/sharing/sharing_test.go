package sharing_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/carrier/sharing"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// node is an element that was read.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

func (n node) Is(space, local string) bool { return n.XMLName == xml.Name{Space: space, Local: local} }
func (n node) Words() string               { return n.Text }

func (n node) Attr(local string) string {
	for _, a := range n.Attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

func (n node) Elements() iter.Seq[about.Element] {
	return func(yield func(about.Element) bool) {
		for _, c := range n.Children {
			if !yield(c) {
				return
			}
		}
	}
}

func read(content string) (n node, err error) {
	err = xml.Unmarshal([]byte("<content xmlns='jabber:client'>"+content+"</content>"), &n)
	return n, err
}

var (
	key  = strings.Repeat("k", media.KeySize)
	iv12 = strings.Repeat("i", media.IVSize)
	iv16 = strings.Repeat("i", media.CBCIVSize)
	sum  = strings.Repeat("s", 32)
)

const (
	gcm    = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0"
	cbc    = "urn:xmpp:ciphers:aes-256-cbc-pkcs7:0"
	at     = "https://up.example.org/1/x"
	repeat = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func encrypted(cipher, key, iv, target string) string {
	return "<encrypted xmlns='urn:xmpp:esfs:0' cipher='" + cipher + "'><key>" + b64(key) + "</key><iv>" + b64(iv) +
		"</iv><sources xmlns='urn:xmpp:sfs:0'><url-data xmlns='http://jabber.org/protocol/url-data' target='" + target + "'/></sources></encrypted>"
}

func file(metadata, sources string) string {
	return "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'>" + metadata +
		"</file><sources>" + sources + "</sources></file-sharing>"
}

func link(scheme, iv string) string {
	return scheme + "://up.example.org/1/x#" + hex.EncodeToString([]byte(iv+key))
}

func TestFiles_AreReadAsClientsShareThem(t *testing.T) {
	t.Parallel()
	known := "<media-type>audio/mp4</media-type><name>../20260102_030405.m4a</name><size>9</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>" + b64(sum) + "</hash>"
	whole := carrier.SharedFile{Name: "20260102_030405.m4a", MIME: "audio/mp4", Size: 9, SHA256: []byte(sum)}
	linked := func(f carrier.SharedFile, link string) carrier.SharedFile {
		f.Link = link
		return f
	}
	unknown := carrier.SharedFile{Size: -1}
	sticker := linked(whole, link("aesgcm", iv12))
	sticker.Sticker = true
	for name, tt := range map[string]struct {
		content string
		want    sharing.Shared
	}{
		"Kaidan": {
			"<body>" + at + "</body><x xmlns='jabber:x:oob'><url>" + at + "</url></x>" + repeat + file(known, encrypted(cbc, key, iv16, at)),
			sharing.Shared{Files: []carrier.SharedFile{linked(whole, link("aescbc", iv16))}, Repeats: true},
		},
		"Kaidan's further message for other clients": {
			"<body>" + at + "</body>" + repeat + "<attach-to xmlns='urn:xmpp:message-attaching:1' id='1'/>",
			sharing.Shared{Repeats: true},
		},
		"in GCM, with a text":           {"<body>look</body>" + file(known, encrypted(gcm, key, iv12, at)), sharing.Shared{Files: []carrier.SharedFile{linked(whole, link("aesgcm", iv12))}}},
		"a sticker":                     {"<sticker xmlns='urn:xmpp:stickers:0' pack='p'/>" + file(known, encrypted(gcm, key, iv12, at)), sharing.Shared{Files: []carrier.SharedFile{sticker}}},
		"described only":                {file(known, ""), sharing.Shared{Files: []carrier.SharedFile{whole}}},
		"a body that no source repeats": {"<body>" + at + "</body>" + repeat + file(known, ""), sharing.Shared{Files: []carrier.SharedFile{whole}}},
		"a fallback of nothing":         {"<body>hello</body>" + repeat, sharing.Shared{}},
		"a part of the body":            {"<body>hello</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body start='0' end='2'/></fallback>" + file(known, encrypted(gcm, key, iv12, at)), sharing.Shared{Files: []carrier.SharedFile{linked(whole, link("aesgcm", iv12))}}},

		"http":               {file("", encrypted(gcm, key, iv12, "http://up.example.org/1/x")), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"an address of ours": {file("", encrypted(gcm, key, iv12, "https://user@up.example.org/1/x")), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"a second fragment":  {file("", encrypted(gcm, key, iv12, at+"#00")), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"a short key":        {file("", encrypted(gcm, key[1:], iv12, at)), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"another cipher":     {file("", encrypted("urn:xmpp:ciphers:aes-128-gcm-nopadding:0", key[:16], iv12, at)), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"the other's vector": {file("", encrypted(cbc, key, iv12, at)), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"lies":               {file("<size>-1</size><name>..</name><media-type>x</media-type><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>AAAA</hash>", ""), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
		"a long name":        {file("<name>"+strings.Repeat("a", 5000)+"</name>", ""), sharing.Shared{Files: []carrier.SharedFile{unknown}}},
	} {
		n, err := read(tt.content)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := sharing.Read(n); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %s", name, cmp.Diff(tt.want, got))
		}
	}
	many, err := read(strings.Repeat(file(known, ""), 100))
	if got := sharing.Read(many); err != nil || len(got.Files) != 32 {
		t.Errorf("%d files are read, %v", len(got.Files), err)
	}
}

// rendered writes a tree as XML.
func rendered(t about.Tree) node {
	n := node{XMLName: xml.Name{Space: t.Space, Local: t.Local}, Text: t.Text}
	for i := 0; i < len(t.Attrs); i += 2 {
		n.Attrs = append(n.Attrs, xml.Attr{Name: xml.Name{Local: t.Attrs[i]}, Value: t.Attrs[i+1]})
	}
	for _, c := range t.Children {
		n.Children = append(n.Children, rendered(c))
	}
	return n
}

func again(files []carrier.SharedFile) sharing.Shared {
	var n node
	for _, t := range sharing.Write(files) {
		n.Children = append(n.Children, rendered(t))
	}
	return sharing.Read(n)
}

func TestFiles_AreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, f := range []carrier.SharedFile{
		{Name: "plan.pdf", MIME: "application/pdf", Size: 9, SHA256: []byte(sum), Link: link("aesgcm", iv12)},
		{Size: -1, Link: link("aescbc", iv16)},
	} {
		want := sharing.Shared{Files: []carrier.SharedFile{f}, Repeats: true}
		if got := again(want.Files); !cmp.Equal(got, want) {
			t.Error(cmp.Diff(want, got))
		}
	}
	if got := sharing.Write([]carrier.SharedFile{{Name: "x"}}); got != nil {
		t.Errorf("a file that is nowhere is written as %+v", got)
	}
}

func FuzzRead(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("<body>" + at + "</body>" + repeat + file("<name>a</name><size>1</size>", encrypted(cbc, key, iv16, at)))
	f.Add("<sticker xmlns='urn:xmpp:stickers:0'/>" + file("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>"+b64(sum)+"</hash>", encrypted(gcm, key, iv12, at)))
	f.Fuzz(func(t *testing.T, content string) {
		n, err := read(content)
		if err != nil {
			return
		}
		got := sharing.Read(n)
		if len(got.Files) > 32 {
			t.Errorf("%d files", len(got.Files))
		}
		for _, one := range got.Files {
			if one.Name != media.CleanName(one.Name) || one.Size < -1 || one.SHA256 != nil && len(one.SHA256) != 32 {
				t.Errorf("%+v", one)
			}
			if one.Link == "" {
				continue
			}
			if l, err := media.ParseSource(one.Link); err != nil || !strings.HasPrefix(l.URL, "https://") {
				t.Errorf("a link to %q, %v", l.URL, err)
			}
		}
	})
}
