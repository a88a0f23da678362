package cloudapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// Limits of templates, in characters ("Template components").
const (
	maxTemplateName    = 512
	maxTemplateBody    = 1024
	maxTemplateButtons = 10
	maxTemplateLinks   = 2
	maxTemplateLabel   = 25 // of a button
	maxTemplatePhone   = 20
	maxCoupon          = 15
	maxExpiration      = 90 // minutes
)

// Forms of a template's parameters.
const (
	positional = "POSITIONAL"
	named      = "NAMED"
)

// marketing is the category of templates that nobody asked for.
const marketing = "MARKETING"

// authentication is the category of templates with a code that proves who has a number.
const authentication = "AUTHENTICATION"

// Parts of a template.
const (
	partHeader  = "HEADER"
	partBody    = "BODY"
	partFooter  = "FOOTER"
	partButtons = "BUTTONS"
)

// Kinds of a template's buttons.
const (
	quickReply = "QUICK_REPLY"
	linkButton = "URL"
	callButton = "PHONE_NUMBER"
	copyCode   = "COPY_CODE"
	oneTime    = "OTP"
)

// templateContent is what a template holds. Its form is the API's, and that in which it is stored.
type templateContent struct {
	Category        string              `json:"category"`
	ParameterFormat string              `json:"parameter_format"`
	Components      []templateComponent `json:"components"`
}

type templateComponent struct {
	Type       string           `json:"type"`
	Format     string           `json:"format,omitempty"`
	Text       string           `json:"text,omitempty"`
	Buttons    []templateButton `json:"buttons,omitempty"`
	Security   bool             `json:"add_security_recommendation,omitempty"`
	Expiration int              `json:"code_expiration_minutes,omitempty"`
	Example    json.RawMessage  `json:"example,omitempty"`
}

type templateButton struct {
	Type    string          `json:"type"`
	Text    string          `json:"text,omitempty"`
	URL     string          `json:"url,omitempty"`
	Phone   identifier      `json:"phone_number,omitempty"`
	OTP     string          `json:"otp_type,omitempty"`
	Example json.RawMessage `json:"example,omitempty"`
}

// The forms of names and languages ("Supported languages": en, en_US, fil, zh_CN).
var (
	templateName     = regexp.MustCompile(`^[a-z0-9_]+$`)
	templateLanguage = regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z]{2,4})?$`)
	variableName     = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
)

// check checks a template in a language, and writes its constants in one way.
func (c *templateContent) check(language string) error {
	c.Category, c.ParameterFormat = strings.ToUpper(c.Category), cmp.Or(strings.ToUpper(c.ParameterFormat), positional)
	switch {
	case c.Category == "":
		return errMissing("category")
	case !slices.Contains([]string{authentication, marketing, "UTILITY"}, c.Category):
		return errInvalidParameter("Param category must be AUTHENTICATION, MARKETING or UTILITY.")
	case c.ParameterFormat != positional && c.ParameterFormat != named:
		return errInvalidParameter("Param parameter_format must be POSITIONAL or NAMED.")
	}
	seen := map[string]bool{}
	for i := range c.Components {
		part := &c.Components[i]
		if err := part.checkExamples(); err != nil {
			return err
		}
		part.Type = strings.ToUpper(part.Type)
		if seen[part.Type] {
			return errInvalidParameter("Param components must have each type once.")
		}
		seen[part.Type] = true
		if err := c.checkPart(part, language); err != nil {
			return err
		}
	}
	if !seen[partBody] {
		return errInvalidParameter("Param components must have one of type BODY.")
	}
	return nil
}

// maxExampleDepth bounds how deep an example's lists are. It is answered as it came, and what encodes the
// answer refuses what is nested deeper than 10,000.
const maxExampleDepth = 16

// checkExamples checks what is kept for people who read the template.
func (part *templateComponent) checkExamples() error {
	if depth(part.Example) > maxExampleDepth {
		return errInvalidParameter("Param components.example has too many lists within lists.")
	}
	for _, b := range part.Buttons {
		if depth(b.Example) > maxExampleDepth {
			return errInvalidParameter("Param components.buttons.example has too many lists within lists.")
		}
	}
	return nil
}

// depth is how deep lists and objects are nested in JSON.
func depth(value json.RawMessage) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(value))
	for n := 0; ; deepest = max(deepest, n) {
		switch token, err := d.Token(); {
		case err != nil:
			return deepest
		case token == json.Delim('['), token == json.Delim('{'):
			n++
		case token == json.Delim(']'), token == json.Delim('}'):
			n--
		}
	}
}

func (c *templateContent) checkPart(part *templateComponent, language string) error {
	switch part.Type {
	case partHeader:
		return c.checkHeader(part)
	case partBody:
		if part.Text == "" && c.Category == authentication {
			if err := part.preset(language); err != nil {
				return err
			}
		}
		return cmp.Or(required("components.text of BODY", part.Text), atMost("components.text of BODY", part.Text, maxTemplateBody), c.checkVariables("BODY", part.Text))
	case partFooter:
		if part.Text == "" && part.Expiration != 0 {
			if part.Expiration < 1 || part.Expiration > maxExpiration {
				return errInvalidParameter(fmt.Sprintf("Param components.code_expiration_minutes must be 1 to %d.", maxExpiration))
			}
			part.Text = fmt.Sprintf("This code expires in %d minutes.", part.Expiration)
		}
		if len(rich.Variables(part.Text)) > 0 {
			return errInvalidParameter("Param components.text of FOOTER must have no variables.")
		}
		return cmp.Or(required("components.text of FOOTER", part.Text), atMost("components.text of FOOTER", part.Text, maxFooter))
	case partButtons:
		return c.checkButtons(part.Buttons)
	}
	return errInvalidParameter("Param components.type must be HEADER, BODY, FOOTER or BUTTONS: this relay has no other components.")
}

// preset writes the text that templates for one-time codes have at the hosted API, which translates it.
func (part *templateComponent) preset(language string) error {
	if language != "en" && !strings.HasPrefix(language, "en_") {
		return errInvalidParameter("Param components.text of BODY is required in other languages than English: this relay translates nothing.")
	}
	part.Text = "{{1}} is your verification code."
	if part.Security {
		part.Text += " For your security, do not share this code."
	}
	return nil
}

func (c *templateContent) checkHeader(part *templateComponent) error {
	part.Format = strings.ToUpper(part.Format)
	if part.Format == "LOCATION" || headerKind(part.Format) != "" {
		return nil
	}
	if part.Format != "TEXT" {
		return errInvalidParameter("Param components.format must be TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION.")
	}
	if len(rich.Variables(part.Text)) > 1 {
		return errInvalidParameter("Param components.text of HEADER must have at most one variable.")
	}
	return cmp.Or(required("components.text of HEADER", part.Text), atMost("components.text of HEADER", part.Text, maxHeader), c.checkVariables("HEADER", part.Text))
}

// headerKind is the kind of file in a header of that format; empty for none.
func headerKind(format string) media.Kind {
	switch format {
	case "IMAGE":
		return media.Image
	case "VIDEO":
		return media.Video
	case "DOCUMENT":
		return media.Document
	}
	return ""
}

// checkVariables checks the places for values: numbers from 1, or names.
func (c *templateContent) checkVariables(part, text string) error {
	names := rich.Variables(text)
	for _, name := range names {
		n, err := strconv.Atoi(name)
		switch {
		case c.ParameterFormat == positional && (err != nil || n < 1 || n > len(names) || strconv.Itoa(n) != name):
			return errInvalidParameter(fmt.Sprintf("Param components.text of %s must number its variables from {{1}} without gaps; with names, parameter_format is NAMED.", part))
		case c.ParameterFormat == named && !variableName.MatchString(name):
			return errInvalidParameter(fmt.Sprintf("Param components.text of %s must name its variables with lower case letters, digits and underscores.", part))
		}
	}
	return nil
}

func (c *templateContent) checkButtons(buttons []templateButton) error {
	if n := len(buttons); n < 1 || n > maxTemplateButtons {
		return errInvalidParameter(fmt.Sprintf("Param components.buttons must have 1 to %d buttons.", maxTemplateButtons))
	}
	count, labels := map[string]int{}, map[string]bool{}
	for i := range buttons {
		b := &buttons[i]
		b.Type = strings.ToUpper(b.Type)
		if err := b.check(); err != nil {
			return err
		}
		if count[b.Type]++; b.Text != "" && labels[b.Text] {
			return errInvalidParameter("Param components.buttons.text must be unique.")
		}
		labels[b.Text] = true
	}
	if count[linkButton] > maxTemplateLinks || count[callButton] > 1 || count[copyCode] > 1 || count[oneTime] > 1 {
		return errInvalidParameter("Param components.buttons must have at most two of type URL, and one each of PHONE_NUMBER, COPY_CODE and OTP.")
	}
	if count[oneTime] > 0 && c.Category != "AUTHENTICATION" {
		return errInvalidParameter("Param components.buttons may have the type OTP in the category AUTHENTICATION only.")
	}
	return nil
}

func (b *templateButton) check() error {
	const param = "components.buttons."
	label := cmp.Or(required(param+"text", b.Text), atMost(param+"text", b.Text, maxTemplateLabel))
	switch b.Type {
	case quickReply:
		return label
	case linkButton:
		if names := rich.Variables(b.URL); len(names) > 1 || len(names) == 1 && (names[0] != "1" || !strings.HasSuffix(b.URL, "}}")) {
			return errInvalidParameter("Param components.buttons.url may have one variable, {{1}}, at its end.")
		}
		return cmp.Or(label, required(param+"url", b.URL), webURL(param+"url", rich.Fill(b.URL, nil)))
	case callButton:
		return cmp.Or(label, required(param+"phone_number", string(b.Phone)), atMost(param+"phone_number", string(b.Phone), maxTemplatePhone))
	case copyCode:
		return atMost(param+"text", b.Text, maxTemplateLabel)
	case oneTime: // the code is in the text
		if !slices.Contains([]string{"", "COPY_CODE", "ONE_TAP", "ZERO_TAP"}, strings.ToUpper(b.OTP)) {
			return errInvalidParameter("Param components.buttons.otp_type must be COPY_CODE, ONE_TAP or ZERO_TAP.")
		}
		return atMost(param+"text", b.Text, maxTemplateLabel)
	}
	return errInvalidParameter("Param components.buttons.type must be QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE or OTP: this relay has no other buttons.")
}
