package cloudapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// maxPayload is how long the payload of a template's button may be, in characters.
const maxPayload = 256

// templateObject names a template, and has values for it.
type templateObject struct {
	Name     string `json:"name"`
	Language *struct {
		Code   string `json:"code"`
		Policy string `json:"policy"` // makes no difference
	} `json:"language"`
	Components []templateValues `json:"components"`
}

// templateValues are the values of one component or of one button.
type templateValues struct {
	Type       string          `json:"type"`
	SubType    string          `json:"sub_type"`
	Index      identifier      `json:"index"`
	Parameters []templateValue `json:"parameters"`
}

type templateValue struct {
	Type     string          `json:"type"`
	Name     string          `json:"parameter_name"`
	Text     string          `json:"text"`
	Payload  string          `json:"payload"`
	Coupon   string          `json:"coupon_code"`
	Currency *fallback       `json:"currency"`
	DateTime *fallback       `json:"date_time"`
	Image    *fileObject     `json:"image"`
	Video    *fileObject     `json:"video"`
	Document *fileObject     `json:"document"`
	Location *locationObject `json:"location"`
}

// fallback is what is shown of an amount or a time: the relay does not translate them.
type fallback struct {
	Value  string    `json:"fallback_value"`
	Code   string    `json:"code"` // of the currency; makes no difference, like the amount
	Amount anyNumber `json:"amount_1000"`
}

// filling is a message by a template, before that is known.
type filling struct {
	to              phone.Number
	toUser          bool
	identity        string // key hash
	name, language  string
	values          []templateValues
	header, body    []templateValue
	replyTo, opaque string
	once            *Once
}

// filling checks what can be checked without the template, and returns a message to nobody yet.
func (t *templateObject) filling() (*filling, error) {
	switch {
	case t == nil:
		return nil, errMissing("template")
	case t.Name == "":
		return nil, errMissing("template.name")
	case t.Language == nil || t.Language.Code == "":
		return nil, errMissing("template.language.code")
	}
	f := &filling{name: t.Name, language: t.Language.Code}
	seen := map[string]bool{}
	for _, v := range t.Components {
		v.Type = strings.ToUpper(v.Type)
		key := v.Type + " " + string(v.Index)
		switch v.Type {
		case partHeader:
			f.header, key = v.Parameters, v.Type
		case partBody:
			f.body, key = v.Parameters, v.Type
		case "BUTTON":
			if n, err := strconv.Atoi(string(v.Index)); err != nil || n < 0 || n >= maxTemplateButtons {
				return nil, errInvalidValue(fmt.Sprintf("template.components.index must be a number from 0 to %d.", maxTemplateButtons-1))
			}
			f.values = append(f.values, v)
		case partFooter: // has no values
		default:
			return nil, errInvalidValue("template.components.type must be header, body or button.")
		}
		if seen[key] {
			return nil, errInvalidParameter("Param template.components must have each component and button once.")
		}
		seen[key] = true
	}
	return f, nil
}

// sendTemplate fills a template and passes the message to the service.
func (a *API) sendTemplate(ctx context.Context, f filling, who acceptedContact) (any, error) {
	content, err := a.named(ctx, f)
	if err != nil {
		return nil, err
	}
	if f.toUser && content.Category == authentication {
		return nil, errNotToUser()
	}
	m, file, err := content.fill(f)
	if err != nil {
		return nil, err
	}
	text := m.Text()
	if utf8.RuneCountInString(text) > MaxTextLength {
		return nil, coded(http.StatusBadRequest, CodeTemplateLength, "Translated text too long",
			fmt.Sprintf("With the values of template.components the template has more than %d characters.", MaxTextLength))
	}
	choices := m.Choices()
	kind := ""
	if len(choices) > 0 {
		kind = ButtonPress
	}
	var answer any
	if file != nil {
		file.To, file.ToUser, file.IdentityHash, file.ReplyTo, file.Opaque, file.Once = f.to, f.toUser, f.identity, f.replyTo, f.opaque, f.once
		file.Caption, file.Choices, file.ChoiceKind, file.Marketing = text, choices, kind, content.Category == marketing
		answer, err = a.sendAttachment(ctx, *file, who)
	} else {
		answer, err = a.send(ctx, Text{To: f.to, ToUser: f.toUser, Body: text, Choices: choices, ChoiceKind: kind, ReplyTo: f.replyTo, Opaque: f.opaque, IdentityHash: f.identity, Marketing: content.Category == marketing, Once: f.once}, who)
	}
	if done, ok := answer.(accepted); ok {
		done.Messages[0].Status = templateAccepted
	}
	return answer, err
}

// named returns the template that a message names.
func (a *API) named(ctx context.Context, f filling) (templateContent, error) {
	t, err := a.Service.TemplateNamed(ctx, f.name, f.language)
	if errors.Is(err, ErrUnknownTemplate) {
		return templateContent{}, coded(http.StatusNotFound, CodeNoTemplate, "Template name does not exist in the translation",
			"There is no template of template.name in template.language.code.")
	}
	if err != nil {
		return templateContent{}, fromService(err)
	}
	s, err := t.shown()
	return s.content, err
}

// fill returns the message that a template becomes, and its file, if it has one.
func (c templateContent) fill(f filling) (m rich.Interactive, file *Attachment, err error) {
	var header, buttons bool
	for _, part := range c.Components {
		switch part.Type {
		case partHeader:
			header = true
			m.Header, file, err = c.fillHeader(part, f.header)
		case partBody:
			m.Body, err = c.fillText("body", part.Text, f.body)
		case partFooter:
			m.Footer = part.Text
		case partButtons:
			buttons = true
			err = fillButtons(&m, part.Buttons, f.values)
		}
		if err != nil {
			return m, nil, err
		}
	}
	if !header && len(f.header) > 0 {
		return m, nil, errCount("header", len(f.header), 0)
	}
	if !buttons && len(f.values) > 0 {
		return m, nil, errFormat("The template has no buttons.")
	}
	return m, file, nil
}

// fillHeader returns a header's text, or its file.
func (c templateContent) fillHeader(part templateComponent, values []templateValue) (string, *Attachment, error) {
	if part.Format == "TEXT" {
		text, err := c.fillText("header", part.Text, values)
		return text, nil, err
	}
	if len(values) != 1 {
		return "", nil, errCount("header", len(values), 1)
	}
	v := values[0]
	if !strings.EqualFold(v.Type, part.Format) {
		return "", nil, errFormat(fmt.Sprintf("header: the parameter's type must be %s.", strings.ToLower(part.Format)))
	}
	const param = "template.components.parameters."
	if part.Format == "LOCATION" {
		p, err := v.Location.place(param + "location")
		return p.Text(), nil, err
	}
	kind := headerKind(part.Format)
	file := map[media.Kind]*fileObject{media.Image: v.Image, media.Video: v.Video, media.Document: v.Document}[kind]
	a, err := file.attachment(param+string(kind), kind)
	return "", a, err
}

// fillText puts values into a component's text.
func (c templateContent) fillText(part, text string, values []templateValue) (string, error) {
	names := rich.Variables(text)
	if len(values) != len(names) {
		return "", errCount(part, len(values), len(names))
	}
	said := map[string]string{}
	for i, v := range values {
		name := strconv.Itoa(i + 1)
		if c.ParameterFormat == named {
			name = v.Name
		}
		switch _, twice := said[name]; {
		case name == "":
			return "", errMissing("template.components.parameters.parameter_name")
		case twice, !slices.Contains(names, name):
			return "", errFormat(part + ": each parameter_name must be one of the template's, once.")
		}
		value, err := v.words(part)
		if err != nil {
			return "", err
		}
		said[name] = value
	}
	return rich.Fill(text, said), nil
}

// words returns what is written for a value.
func (v templateValue) words(part string) (string, error) {
	const param = "template.components.parameters."
	kind := strings.ToLower(v.Type)
	text := v.Text
	switch kind {
	case "text":
		return text, required(param+"text", text)
	case "currency":
		if v.Currency != nil {
			text = v.Currency.Value
		}
	case "date_time":
		if v.DateTime != nil {
			text = v.DateTime.Value
		}
	default:
		return "", errFormat(part + ": the parameters' type must be text, currency or date_time.")
	}
	return text, required(param+kind+".fallback_value", text)
}

// fillButtons adds a template's buttons to a message: choices, and lines for the others.
func fillButtons(m *rich.Interactive, buttons []templateButton, values []templateValues) error {
	given := map[int]templateValues{}
	for _, v := range values {
		i, _ := strconv.Atoi(string(v.Index)) // was checked
		if i >= len(buttons) {
			return errFormat("template.components.index names no button of the template.")
		}
		given[i] = v
	}
	var choices []rich.Choice
	for i, b := range buttons {
		v := given[i]
		if v.SubType != "" && !strings.EqualFold(v.SubType, b.subType()) {
			return errFormat(fmt.Sprintf("button: sub_type must be %s.", b.subType()))
		}
		choice, link, err := b.fill(v.Parameters)
		if err != nil {
			return err
		}
		if choice.ID != "" {
			choices = append(choices, choice)
		}
		if link.Target != "" {
			m.Links = append(m.Links, link)
		}
	}
	if len(choices) > 0 {
		m.Sections = []rich.Section{{Choices: choices}}
	}
	return nil
}

// subType is how messages name a kind of button.
func (b templateButton) subType() string {
	switch b.Type {
	case quickReply:
		return "quick_reply"
	case callButton:
		return "voice_call"
	case copyCode:
		return "copy_code"
	}
	return "url" // of one-time codes, too
}

// fill returns the choice or the link that a button becomes; both are empty for one-time codes.
func (b templateButton) fill(values []templateValue) (choice rich.Choice, link rich.Link, err error) {
	const param = "template.components.parameters."
	link.Label = b.Text
	want := 0
	var v templateValue
	if len(values) > 0 {
		v = values[0]
	}
	switch b.Type {
	case quickReply: // whose value may be left out
		want = min(len(values), 1)
		choice = rich.Choice{ID: cmp.Or(v.Payload, b.Text), Title: b.Text}
		err = cmp.Or(ofType(v, "payload", want), atMost(param+"payload", v.Payload, maxPayload))
	case linkButton:
		want = len(rich.Variables(b.URL))
		link.Target = rich.Fill(b.URL, map[string]string{"1": v.Text})
		err = ofType(v, "text", want)
		if want > 0 {
			err = cmp.Or(err, required(param+"text", v.Text), webURL(param+"text", link.Target))
		}
	case callButton:
		link.Target = string(b.Phone)
	case copyCode:
		want = 1
		link = rich.Link{Label: cmp.Or(b.Text, "Code"), Target: v.Coupon}
		err = cmp.Or(ofType(v, "coupon_code", want), required(param+"coupon_code", v.Coupon), atMost(param+"coupon_code", v.Coupon, maxCoupon))
	case oneTime:
		want = 1
		err = ofType(v, "text", want)
	}
	if len(values) != want {
		err = errCount("button", len(values), want)
	}
	return choice, link, err
}

// ofType checks the type of a button's value, if there must be one.
func ofType(v templateValue, kind string, want int) error {
	if want > 0 && !strings.EqualFold(v.Type, kind) {
		return errFormat(fmt.Sprintf("button: the parameter's type must be %s.", kind))
	}
	return nil
}

// errCount is the answer when a template has another number of places than the message has values.
func errCount(part string, have, want int) error {
	return coded(http.StatusBadRequest, CodeTemplateCount, "Number of parameters does not match the expected number of params",
		fmt.Sprintf("%s: number of parameters (%d) does not match the expected number of params (%d)", part, have, want))
}

// errFormat is the answer to a value of another kind than the template has.
func errFormat(details string) error {
	return coded(http.StatusBadRequest, CodeTemplateFormat, "Parameter format does not match format in the created template", details)
}
