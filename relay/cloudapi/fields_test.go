package cloudapi_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// Every field that the document has of an object can be asked for, and those that it does not have cannot.
func TestFields_OfTheDocumentCanBeAskedFor(t *testing.T) {
	w := templates(t)
	template := w.create(`{"name":"a","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"x"}]}`)
	full := whole(t, func(o *cloudapi.Options) {
		o.Number.Profile.Address, o.Number.Profile.Description = "Am Markt 1", "Plants of all kinds"
	})
	for schema, q := range map[string]struct {
		h    http.Handler
		path string
	}{
		"Number": {full, numberID}, "Account": {full, accountID}, "Template": {w.api, template}, "Profile": {full, numberID + "/whatsapp_business_profile"},
	} {
		var names []string
		for name := range written().doc.Components.Schemas[schema].Value.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
		if i := slices.Index(names, "analytics"); i >= 0 {
			names[i] += ".start(1).end(2).granularity(DAY)"
		}
		if a := call(q.h, http.MethodGet, "/v27.0/"+q.path+"?fields="+strings.Join(names, ","), ""); a.Code != http.StatusOK {
			t.Errorf("%s with %s: %d %s", schema, names, a.Code, a.Body)
		}
		if a := call(q.h, http.MethodGet, "/v27.0/"+q.path+"?fields=credit_line", ""); a.Code != http.StatusBadRequest {
			t.Errorf("%s with another field: %d %s", schema, a.Code, a.Body)
		}
	}
}

// Every field that the code knows of an object is in the document, also one that no test asks for.
func TestFields_OfTheCodeAreInTheDocument(t *testing.T) {
	documented := map[string]bool{"profile_picture_url": true} // may be asked for, and is never there
	for _, schema := range []string{"Number", "Account", "Template", "Profile", "SentMessage"} {
		for name := range written().doc.Components.Schemas[schema].Value.Properties {
			documented[name] = true
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, name := range files {
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !slices.Contains([]string{"field", "callerField", "accountField", "historyField"}, f.Name.Name) || f.Recv == nil {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				c, ok := n.(*ast.CaseClause)
				for i := 0; ok && i < len(c.List); i++ {
					text, isText := c.List[i].(*ast.BasicLit)
					if !isText || text.Kind != gotoken.STRING {
						continue
					}
					known++
					if field := strings.Trim(text.Value, `"`); !documented[field] {
						t.Errorf("%s has the field %s, which is not in %s: add it to its object below components/schemas", name, field, document)
					}
				}
				return true
			})
		}
	}
	if known < 30 {
		t.Errorf("only %d fields were found in the code: where are they now?", known)
	}
}

// What the document has of requests and other tests do not send.
func TestRequests_OfTheDocumentAreAccepted(t *testing.T) {
	h, s := withFile(t, func(o *cloudapi.Options) { o.Number.AccountID = account })
	body := `"components":[{"type":"BODY","text":"x"},{"type":"HEADER","format":"`
	template := templates(t)
	template.s, template.api = s, h
	id := template.create(`{"name":"picture","language":"en_US","category":"UTILITY",` + body + `IMAGE"}]}`)
	template.create(`{"name":"film","language":"en_US","category":"UTILITY",` + body + `VIDEO"}]}`)
	to := func(fields string) string {
		return `{"messaging_product":"whatsapp","to":"16505551234",` + fields + `}`
	}
	header := func(name, kind string) string {
		return to(`"type":"template","template":` + by(name, `{"type":"header","parameters":[{"type":"`+kind+`","`+kind+`":{"link":"https://shop.test/1"}}]}`))
	}
	list := "/" + account + "/message_templates"
	for what, q := range map[string]struct{ method, path, body string }{
		"a contact": {"POST", messages, contacts(`[{"name":{"formatted_name":"x","first_name":"a","middle_name":"b","last_name":"c","prefix":"d","suffix":"e"},` +
			`"org":{"company":"f","department":"g","title":"h"},"emails":[{"email":"i@shop.test","type":"WORK"}],` +
			`"addresses":[{"street":"j","city":"k","state":"l","zip":"m","country":"n","country_code":"us","type":"HOME"}]}]`)},
		"a voice note":             {"POST", messages, to(`"type":"audio","audio":{"link":"https://shop.test/1","voice":true}`)},
		"a film":                   {"POST", messages, to(`"type":"video","video":{"link":"https://shop.test/1"}`)},
		"a sticker":                {"POST", messages, to(`"type":"sticker","sticker":{"link":"https://shop.test/1"}`)},
		"a picture above":          {"POST", messages, header("picture", "image")},
		"a film above":             {"POST", messages, header("film", "video")},
		"templates by all filters": {"GET", list + "?name=film&language=en_US&category=UTILITY&status=APPROVED&fields=id", ""},
		"templates before":         {"GET", list + "?before=Mg&limit=1", ""},
		"numbers before":           {"GET", "/" + account + "/phone_numbers?before=MQ", ""},
		"another form of names":    {"POST", "/" + id, `{"parameter_format":"NAMED"}`},
	} {
		if a := call(h, q.method, q.path, q.body); a.Code != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
	}
	if a := call(h, http.MethodDelete, "/"+fileID+"?phone_number_id="+numberID, ""); a.Code != http.StatusOK {
		t.Errorf("deleting a file: %d %s", a.Code, a.Body)
	}
}

func TestUnblock_OfSomeSaysWhom(t *testing.T) {
	a := call(cloudapi.New(options(t, &service{})), http.MethodDelete, blockUsers, users("+16505551234", "nobody"))
	if a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), `"removed_users":[{"input":"+16505551234"`) || !strings.Contains(a.Body.String(), `"failed_users":[{"input":"nobody"`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

// What a relay does not serve is refused with the documented error, whatever is in it.
func TestWhatIsNotServedIsRefused(t *testing.T) {
	h := whole(t, nil)
	to := func(kind string) string {
		return `{"messaging_product":"whatsapp","to":"16505551234","type":"` + kind + `","` + kind + `":{}}`
	}
	interactive := func(kind string) string {
		return `{"messaging_product":"whatsapp","to":"16505551234","type":"interactive","interactive":{"type":"` + kind + `"}}`
	}
	const number, waba = "/" + numberID, "/" + accountID
	for _, q := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", messages, to("order"), 400, "131051"},
		{"POST", messages, to("pin"), 400, "131051"},
		{"POST", messages, interactive("product"), 400, "131051"},
		{"POST", messages, interactive("product_list"), 400, "131051"},
		{"POST", messages, interactive("catalog_message"), 400, "131051"},
		{"POST", messages, interactive("flow"), 400, "131051"},
		{"POST", messages, interactive("carousel"), 400, "131051"},
		{"POST", messages, interactive("address_message"), 400, "131051"},
		{"POST", messages, interactive("call_permission_request"), 400, "131051"},
		{"POST", messages, `{"messaging_product":"whatsapp","recipient_type":"group","to":"16505551234","text":{"body":"x"}}`, 400, ""},
		{"POST", number, `{"pin":"123456"}`, 403, "131005"},
		{"POST", number + "/register", `{"messaging_product":"whatsapp","pin":"123456"}`, 400, "100"},
		{"POST", number + "/deregister", ``, 400, "100"},
		{"POST", number + "/request_code", `{"code_method":"SMS","language":"en"}`, 400, "100"},
		{"POST", number + "/verify_code", `{"code":"123456"}`, 400, "100"},
		{"POST", number + "/calls", `{"messaging_product":"whatsapp","to":"16505551234","action":"connect"}`, 400, "100"},
		{"GET", number + "/call_permissions?user_wa_id=16505551234", ``, 400, "100"},
		{"POST", number + "/groups", `{"messaging_product":"whatsapp","subject":"x"}`, 400, "100"},
		{"GET", number + "/groups", ``, 400, "100"},
		{"GET", number + "/whatsapp_commerce_settings", ``, 400, "100"},
		{"POST", number + "/whatsapp_commerce_settings?is_catalog_visible=true", ``, 400, "100"},
		{"GET", number + "/message_qrdls", ``, 400, "100"},
		{"POST", number + "/whatsapp_business_encryption", `{"business_public_key":"x"}`, 400, "100"},
		{"POST", waba + "/flows", `{"name":"x","categories":["OTHER"]}`, 400, "100"},
		{"GET", waba + "/flows", ``, 400, "100"},
		{"GET", waba + "/product_catalogs", ``, 400, "100"},
		{"DELETE", waba + "/subscribed_apps", ``, 400, "100"},
		{"POST", number + "/settings", `{"storage_configuration":{"status":"IN_COUNTRY_STORAGE_ENABLED","data_localization_region":"BR"}}`, 400, ""},
	} {
		a := call(h, q.method, q.path, q.body)
		if a.Code != q.status || !strings.Contains(a.Body.String(), `"code":`+q.code) {
			t.Errorf("%s %s %s: %d %s, want %d and code %s", q.method, q.path, q.body, a.Code, a.Body, q.status, q.code)
		}
	}
}
