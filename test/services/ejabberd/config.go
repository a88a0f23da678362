package ejabberd

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"text/template"

	"github.com/relaykeep/relaykeep/test/lab/authority"
)

// The configuration that we recommend, apart from paths, the log's level, the
// shaper and the administration's door. YAML takes JSON's quoted strings.
var configTemplate = template.Must(template.New("ejabberd.yml").Funcs(template.FuncMap{
	"quote": strconv.Quote,
	"has":   slices.Contains[[]string],
}).Parse(`# Written by test/services/ejabberd.
loglevel: {{.LogLevel}}
# At info, it logs who logs in: customers' numbers.
hide_sensitive_log_data: true

hosts:
{{range .Domains}}  - {{quote .}}
{{end}}
certfiles:
  - {{quote .Certificate}}
  - {{quote .Key}}
acme: { auto: false }

# Passwords are stored salted and hashed, and sent as SCRAM proofs only.
auth_password_format: scram
disable_sasl_mechanisms: [PLAIN, DIGEST-MD5, X-OAUTH2]

# Clients only, without federation: a number at a foreign domain is no customer.
listen:
  - port: {{.Port}}
    ip: {{quote .Host}}
    module: ejabberd_c2s
    starttls_required: true
    protocol_options: [no_sslv3, no_tlsv1, no_tlsv1_1]
    max_stanza_size: 262144
  - port: {{.HTTPPort}}
    ip: {{quote .HTTPHost}}
    module: ejabberd_http
    tls: true
    request_handlers:
      /upload: mod_http_upload
      /api: mod_http_api
{{- if .WebSocket}}
      /websocket: ejabberd_http_ws
{{- end}}

acl:
  loopback: { ip: 127.0.0.0/8 }
api_permissions:
  "this machine":
    who: { acl: loopback }
    what: [register, unregister, change_password, check_account, delete_old_mam_messages]

access_rules:
  registration: { {{if .Registration}}allow{{else}}deny{{end}}: all }
shaper_rules:
  max_user_sessions: 10
  # What waits for a relay or a phone that is away. The default of 100 loses the rest.
  max_user_offline_messages: {{.OfflineMessages}}

# Otherwise one address may register once in ten minutes.
registration_timeout: infinity

append_host_config:
{{range .Domains}}  {{quote .}}:
    modules:
      mod_pubsub:
        plugins: [flat, pep]
        # A bundle holds 100 pre-keys, and anybody may start a session.
        max_items_node: 10
        force_node_config: {{if has $.ForContacts .}}{}{{else}}{ "eu.siacs.conversations.axolotl.*": { access_model: open }, "urn:xmpp:omemo:2:*": { access_model: open } }{{end}}
{{end}}
modules:
  mod_adhoc: {}
  mod_admin_extra: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_disco: {}
  mod_http_api: {}
  mod_http_upload:
    access: all
    docroot: {{quote .Upload}}
    put_url: {{quote .UploadURL}}
    max_size: {{.UploadLimit}}
    file_mode: "0600"
    dir_mode: "0700"
{{- if .WebSocket}}
    # A browser's page is from elsewhere.
    custom_headers:
      Access-Control-Allow-Origin: "*"
      Access-Control-Allow-Methods: "GET, HEAD, PUT, OPTIONS"
      Access-Control-Allow-Headers: Content-Type
{{- end}}
  # No longer than the relays' retention: uploads hold ciphertext. The archive is
  # trimmed by the command delete_old_mam_messages.
  mod_http_upload_quota:
    max_days: 30
  mod_mam:
    default: always
    request_activates_archiving: false
    clear_archive_on_room_destroy: true
  mod_offline:
    access_max_user_messages: max_user_offline_messages
  mod_ping: {}
  mod_privacy: {}
  mod_register:
    access: registration
    access_remove: all
    ip_access: all
    welcome_message: {}
  mod_roster: {}
  # How long a broken link may be resumed, and how many stanzas wait for it.
  mod_stream_mgmt:
    resume_timeout: {{.Hibernation}}
    max_resume_timeout: {{.Hibernation}}
    max_ack_queue: {{.AckQueue}}
    resend_on_timeout: {{not .Returns}}
  mod_vcard: {}
`))

func renderConfig(s *Server, o Options, pair authority.Pair) ([]byte, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, fmt.Errorf("reading the listen address: %w", err)
	}
	httpHost, httpPort, err := net.SplitHostPort(s.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("reading the listen address: %w", err)
	}
	level := "warning"
	if o.Debug {
		level = "debug"
	}
	var out bytes.Buffer
	err = configTemplate.Execute(&out, map[string]any{
		"LogLevel": level, "Domains": o.Domains, "ForContacts": o.ForContacts, "Certificate": pair.Cert, "Key": pair.Key,
		"Host": host, "Port": port, "HTTPHost": httpHost, "HTTPPort": httpPort,
		"Registration": o.Registration, "Hibernation": int(o.Hibernation.Seconds()),
		"OfflineMessages": o.OfflineMessages, "AckQueue": cmp.Or(o.AckQueue, 5000), "Returns": o.Returns, "WebSocket": o.WebSocket,
		"Upload": s.Upload, "UploadURL": "https://" + s.HTTPAddr + "/upload/@HOST@", "UploadLimit": o.UploadLimit,
	})
	if err != nil {
		return nil, fmt.Errorf("rendering the configuration: %w", err)
	}
	return out.Bytes(), nil
}
