package gateway

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// head is the same for every gateway.
const head = `global
  maxconn 1024
  stats socket %s mode 600 level admin
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
`

// render writes HAProxy's configuration. At each port one frontend reads the host name from the TLS handshake: TLSRoutes
// pass the connection on, and what listeners terminate goes through a socket to a frontend of their own, which reads
// requests. Of the rules there the first that matches counts, so they stand in the order of precedence.
func (t *translator) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, head, filepath.Join(t.Dir, "admin.sock"))
	for _, p := range t.ports {
		t.renderPort(&b, p)
	}
	for _, back := range t.backends {
		mode := "http"
		if back.tcp {
			mode = "tcp"
		}
		fmt.Fprintf(&b, "backend %s\n  mode %s\n", back.name, mode)
		for _, s := range back.servers {
			fmt.Fprintf(&b, "  %s\n", s)
		}
	}
	return b.String()
}

func (t *translator) renderPort(b *strings.Builder, p *port) {
	fmt.Fprintf(b, "frontend port_%d\n  mode tcp\n  bind %s:%d\n  tcp-request inspect-delay 5s\n  tcp-request content accept if { req.ssl_hello_type 1 }\n", p.number, t.Address, p.number)
	type hello struct {
		host, backend string
		entry         entry
	}
	var all []hello
	for _, s := range p.secure {
		all = append(all, hello{s.Hostname, "to_" + s.Name, entry{host: s.Hostname}})
	}
	for _, s := range p.passed {
		for _, e := range s.entries {
			all = append(all, hello{e.host, e.backend, e})
		}
	}
	slices.SortStableFunc(all, func(a, b hello) int { return precedes(a.entry, b.entry) })
	for _, h := range all {
		fmt.Fprintf(b, "  use_backend %s%s\n", h.backend, condition(hostIs("req.ssl_sni,lower", h.host)))
	}
	for _, s := range p.secure {
		socket := filepath.Join(t.Dir, s.Name+".sock")
		fmt.Fprintf(b, "backend to_%s\n  mode tcp\n  server %s unix@%s send-proxy-v2\n", s.Name, s.Name, socket)
		fmt.Fprintf(b, "frontend %s\n  mode http\n  bind unix@%s accept-proxy ssl crt %s alpn h2,http/1.1\n", s.Name, socket, filepath.Join(t.Dir, s.Name+".pem"))
		slices.SortStableFunc(s.entries, precedes)
		for i, e := range s.entries {
			acl := fmt.Sprintf("path_%d", i)
			if tests := pathIs(e.match.path()); len(tests) > 0 {
				for _, test := range tests { // of one name, any is enough
					fmt.Fprintf(b, "  acl %s path %s\n", acl, test)
				}
			} else {
				acl = ""
			}
			fmt.Fprintf(b, "  use_backend %s%s\n", e.backend, condition(requestIs(e, acl)))
		}
		fmt.Fprintf(b, "  default_backend nowhere_%s\nbackend nowhere_%s\n  mode http\n  http-request return status 404\n", s.Name, s.Name)
	}
}

func condition(tests []string) string {
	if len(tests) == 0 {
		return ""
	}
	return " if " + strings.Join(tests, " ")
}

// hostIs tests for a host name, or what a wildcard covers.
func hostIs(sample, host string) []string {
	if host == "" {
		return nil
	}
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		return []string{"{ " + sample + " -m end " + quote(suffix) + " }"}
	}
	return []string{"{ " + sample + " -m str " + quote(host) + " }"}
}

// pathIs tests for a path; nothing for every path.
func pathIs(path Value) []string {
	whole := strings.TrimSuffix(path.Value, "/")
	switch {
	case path.Type == pathExact:
		return []string{"-m str " + quote(path.Value)}
	case whole == "":
		return nil
	}
	return []string{"-m str " + quote(whole), "-m beg " + quote(whole+"/")} // whole segments: /a is not /ab
}

// requestIs tests for all that an entry asks for. The ACL is its path's.
func requestIs(e entry, acl string) []string {
	tests := hostIs("req.hdr(host),field(1,:),lower", e.host)
	if acl != "" {
		tests = append(tests, acl)
	}
	if e.match.Method != "" {
		tests = append(tests, "{ method "+e.match.Method+" }")
	}
	for _, h := range e.match.Headers {
		tests = append(tests, "{ req.fhdr("+h.Name+") -m str "+quote(h.Value)+" }")
	}
	for _, q := range e.match.QueryParams {
		tests = append(tests, "{ url_param("+q.Name+") -m str "+quote(q.Value)+" }")
	}
	return tests
}

// quote makes a word of HAProxy's configuration of any text.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
