package prosody

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/template"
)

// The configuration that we recommend, apart from paths and run_as_root.
var configTemplate = template.Must(template.New("prosody.cfg.lua").Funcs(template.FuncMap{
	"quote": strconv.Quote,
}).Parse(`-- Written by test/services/prosody.
data_path = {{quote .Data}}
pidfile = {{quote .PIDFile}}
daemonize = false
run_as_root = {{.Root}}
log = { { levels = { min = {{quote .LogLevel}} }, to = "file", filename = {{quote .LogFile}} } }

{{if .Modules}}plugin_paths = { {{quote .ModulesDir}} }
{{end}}modules_enabled = {
	"posix"; "roster"; "saslauth"; "tls"; "disco"; "pep"; "register"; "smacks";
	"mam"; "ping"; "blocklist"; "carbons"; "vcard_legacy";
{{- if .WebSocket}}
	"websocket";
{{- end}}
{{- if .Invitations}}
	"invites"; "invites_register";
{{- end}}
{{- range .Modules}}
	{{quote .}};
{{- end}}
}
-- Clients only: a number at a foreign domain is no customer.
modules_disabled = { "s2s" }

{{if .SQL}}default_storage = "internal"
storage = { archive = "sql" }
sql = { driver = "SQLite3", database = "archive.sqlite" } -- below data_path
{{else}}storage = "internal"
{{end}}{{if .ArchiveLimit}}storage_archive_item_limit = {{.ArchiveLimit}}
{{end}}-- The default collects garbage whenever memory grew by a twentieth, which takes
-- a third of a busy server's processor time.
gc = { threshold = 200 }
-- Passwords are stored salted and hashed, and sent as SCRAM proofs only.
authentication = "internal_hashed"
disable_sasl_mechanisms = { "PLAIN", "OAUTHBEARER" }

c2s_interfaces = { {{quote .Host}} }
c2s_ports = { {{.Port}} }
c2s_direct_tls_ports = { }
c2s_require_encryption = true
ssl = { certificate = {{quote .Certificate}}; key = {{quote .Key}} }

allow_registration = {{.Registration}}

-- How long a broken link may be resumed, and how many stanzas wait for it. A
-- queue that overflows cannot be resumed.
smacks_hibernation_time = {{.Hibernation}}
smacks_max_queue_size = 5000

-- No longer than the relays' retention: archives hold ciphertext and addresses.
archive_expires_after = {{quote .ArchiveExpiry}}
max_archive_query_results = 500
{{if .Uploads}}
-- Encrypted files (XEP-0363). They need last no longer than the archive.
http_ports = { }
https_ports = { {{.UploadPort}} }
https_interfaces = { {{quote .Host}} }
http_default_host = {{quote .UploadHost}}
https_ssl = { certificate = {{quote .Certificate}}; key = {{quote .Key}} }
{{end}}{{range .Domains}}
VirtualHost {{quote .}}
{{end}}{{if .Uploads}}
Component {{quote .UploadDomain}} "http_file_share"
-- Some clients send the link's address as the server's name (SNI), which Prosody refuses
-- unless it is a host's.
http_host = {{quote .UploadHost}}
http_external_url = {{quote .Uploads}}
-- Room for the largest document of the Cloud API, 100 MB, encrypted.
http_file_share_size_limit = 101 * 1024 * 1024
http_file_share_daily_quota = 1024 * 1024 * 1024
http_file_share_expires_after = 24 * 60 * 60
http_file_share_access = { {{range .Domains}}{{quote .}}; {{end}}}
{{end}}`))

func renderConfig(s *Server, o Options) ([]byte, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, fmt.Errorf("reading the listen address: %w", err)
	}
	_, uploadPort, err := net.SplitHostPort(s.UploadAddr)
	if err != nil && !o.NoUploads {
		return nil, fmt.Errorf("reading the address for uploads: %w", err)
	}
	// At info, it logs who logs in: customers' numbers.
	level := "warn"
	if o.Debug {
		level = "debug"
	}
	var out bytes.Buffer
	err = configTemplate.Execute(&out, map[string]any{
		"Data": s.Data, "LogFile": s.LogFile, "LogLevel": level,
		"PIDFile": filepath.Join(s.Dir, "prosody.pid"),
		// Prosody refuses to run as root otherwise. A test's directory lies below
		// one that only its owner may enter, so another user could not work there.
		"Root": os.Geteuid() == 0,
		"Host": host, "Port": port,
		"Certificate": filepath.Join(s.Dir, certFile), "Key": filepath.Join(s.Dir, keyFile),
		"Registration": o.Registration || o.Invitations, "Invitations": o.Invitations, "WebSocket": o.WebSocket,
		"ArchiveExpiry": o.ArchiveExpiry,
		"ArchiveLimit":  o.ArchiveLimit,
		"SQL":           o.ArchiveInSQL,
		"Hibernation":   int(o.Hibernation.Seconds()),
		"Domains":       o.Domains,
		"Modules":       slices.Sorted(maps.Keys(o.Modules)), "ModulesDir": s.modules(),
		"Uploads": s.uploads(o), "UploadPort": uploadPort, "UploadDomain": "upload." + s.Domain,
		"UploadHost": s.uploadHost(),
	})
	if err != nil {
		return nil, fmt.Errorf("rendering the configuration: %w", err)
	}
	return out.Bytes(), nil
}

// uploads is the address under which clients reach the files, "" for none. Clients on
// this machine need no name for it; others find the domain.
func (s *Server) uploads(o Options) string {
	if o.NoUploads {
		return ""
	}
	_, port, err := net.SplitHostPort(s.UploadAddr)
	if err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort(s.uploadHost(), port) + "/"
}

// uploadHost is the host of that address.
func (s *Server) uploadHost() string {
	host, _, err := net.SplitHostPort(s.UploadAddr)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		return s.Domain
	}
	return host
}
