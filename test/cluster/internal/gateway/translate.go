package gateway

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// Translation is what a gateway makes of the objects.
type Translation struct {
	// Config is HAProxy's configuration.
	Config string
	// Files are certificates with their keys, by the names that Config has for them.
	Files map[string][]byte
	// Verdicts are about the routes that name the gateway.
	Verdicts []Verdict
}

// Verdict is what a gateway says about a route.
type Verdict struct {
	Route    Route
	Parent   Reference
	Accepted Judgement
	Resolved Judgement
}

// Judgement is a condition.
type Judgement struct {
	True            bool
	Reason, Message string
}

// Options are where HAProxy is.
type Options struct {
	// Address is the one that it listens at.
	Address string
	// Dir is its folder, for files and sockets.
	Dir string
}

// What of a route becomes a part of HAProxy's configuration.
var (
	word      = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	hostnames = regexp.MustCompile(`^[*.a-z0-9-]*$`)
	printable = regexp.MustCompile(`^[ -~]*$`)
)

// port is all that listens at one port.
type port struct {
	number int
	// secure are the HTTPS listeners, passed the TLS ones.
	secure, passed []*served
}

// served is a listener with what is routed through it.
type served struct {
	Listener
	gateway string // its namespace
	entries []entry
}

// backend is a set of Services.
type backend struct {
	name    string
	tcp     bool
	servers []string
}

type translator struct {
	State
	Options

	gateway  Gateway
	ports    []*port
	backends []backend
	out      Translation
}

// Translate makes a configuration for one gateway.
func Translate(s State, name Key, o Options) (Translation, error) {
	g, ok := s.Gateways[name]
	if !ok {
		return Translation{}, fmt.Errorf("there is no Gateway %s", name)
	}
	t := &translator{State: s, Options: o, gateway: g, out: Translation{Files: map[string][]byte{}}}
	for _, l := range g.Spec.Listeners {
		if err := t.listen(l); err != nil {
			return Translation{}, fmt.Errorf("listener %s: %w", l.Name, err)
		}
	}
	for _, r := range s.Routes {
		for _, parent := range r.Spec.ParentRefs {
			if parent.Name != name.Name || orElse(parent.Namespace, r.Metadata.Namespace) != name.Namespace || orElse(parent.Kind, kindGateway) != kindGateway {
				continue
			}
			t.out.Verdicts = append(t.out.Verdicts, t.attach(r, parent))
		}
	}
	t.out.Config = t.render()
	return t.out, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// listen adds a listener to its port.
func (t *translator) listen(l Listener) error {
	i := slices.IndexFunc(t.ports, func(p *port) bool { return p.number == l.Port })
	if i < 0 {
		i = len(t.ports)
		t.ports = append(t.ports, &port{number: l.Port})
	}
	if !word.MatchString(l.Name) || !hostnames.MatchString(l.Hostname) {
		return fmt.Errorf("its name or host name %q is none", l.Hostname)
	}
	s := &served{Listener: l, gateway: t.gateway.Metadata.Namespace}
	switch {
	case l.Protocol == "HTTPS" && orElse(l.TLS.Mode, "Terminate") == "Terminate":
		if len(l.TLS.CertificateRefs) != 1 {
			return fmt.Errorf("it has %d certificates, want one", len(l.TLS.CertificateRefs))
		}
		ref := Key{orElse(l.TLS.CertificateRefs[0].Namespace, s.gateway), l.TLS.CertificateRefs[0].Name}
		secret, ok := t.Secrets[ref]
		if !ok || ref.Namespace != s.gateway {
			return fmt.Errorf("there is no Secret %s for it", ref)
		}
		t.out.Files[l.Name+".pem"] = slices.Concat(secret.Data["tls.crt"], []byte("\n"), secret.Data["tls.key"])
		t.ports[i].secure = append(t.ports[i].secure, s)
	case l.Protocol == "TLS" && l.TLS.Mode == "Passthrough":
		t.ports[i].passed = append(t.ports[i].passed, s)
	default:
		return fmt.Errorf("protocol %s with TLS mode %q is not for this gateway", l.Protocol, l.TLS.Mode)
	}
	return nil
}

// attach adds a route to the listeners that take it.
func (t *translator) attach(r Route, parent Reference) Verdict {
	v := Verdict{Route: r, Parent: parent, Accepted: Judgement{true, "Accepted", "the route is served"}, Resolved: Judgement{true, "ResolvedRefs", "all backends are there"}}
	if reason := unsupported(r); reason != "" {
		v.Accepted = Judgement{false, "UnsupportedValue", reason}
		return v
	}
	listeners := t.listeners(r, parent)
	if len(listeners) == 0 {
		v.Accepted = Judgement{false, "NoMatchingParent", "no listener of that name takes routes of that kind"}
		return v
	}
	listeners = slices.DeleteFunc(listeners, func(s *served) bool {
		return orElse(s.AllowedRoutes.Namespaces.From, "Same") != "All" && r.Metadata.Namespace != s.gateway
	})
	if len(listeners) == 0 {
		v.Accepted = Judgement{false, "NotAllowedByListeners", "no listener takes routes of that namespace"}
		return v
	}
	names := make([]string, len(r.Spec.Rules))
	for i, rule := range r.Spec.Rules {
		var missing string
		if names[i], missing = t.backend(r, i, rule); missing != "" {
			v.Resolved = Judgement{false, "BackendNotFound", missing}
		}
	}
	attached := false
	for _, s := range listeners {
		attached = s.take(r, names) || attached
	}
	if !attached {
		v.Accepted = Judgement{false, "NoMatchingListenerHostname", "no listener has a host name of the route"}
	}
	return v
}

// unsupported says what of a route this gateway does not know; empty if it knows all.
func unsupported(r Route) string {
	for _, h := range r.Spec.Hostnames {
		if !hostnames.MatchString(h) {
			return "a host name has characters that are not supported"
		}
	}
	for _, rule := range r.Spec.Rules {
		if len(rule.Filters) > 0 {
			return "filters are not supported"
		}
		for _, m := range rule.Matches {
			if reason := m.unsupported(); reason != "" {
				return reason
			}
		}
	}
	return ""
}

func (m Match) unsupported() string {
	path := m.path()
	if path.Type != pathExact && path.Type != pathPrefix {
		return "paths by " + path.Type + " are not supported"
	}
	if !printable.MatchString(path.Value) || m.Method != "" && !word.MatchString(m.Method) {
		return "a path or method has characters that are not supported"
	}
	for _, v := range slices.Concat(m.Headers, m.QueryParams) {
		if orElse(v.Type, pathExact) != pathExact || !word.MatchString(v.Name) || !printable.MatchString(v.Value) {
			return "a header or parameter by " + orElse(v.Type, pathExact) + " of that name or value is not supported"
		}
	}
	return ""
}

func (t *translator) listeners(r Route, parent Reference) (all []*served) {
	for _, p := range t.ports {
		of := p.secure
		if r.Kind == kindTLSRoute {
			of = p.passed
		}
		for _, s := range of {
			if (parent.SectionName == "" || parent.SectionName == s.Name) && (parent.Port == 0 || parent.Port == s.Port) {
				all = append(all, s)
			}
		}
	}
	return all
}

// backend makes the backend of a rule, and says what it lacks.
func (t *translator) backend(r Route, place int, rule Rule) (name, missing string) {
	b := backend{name: fmt.Sprintf("%s_%s_%s_%d", r.Kind, r.Metadata.Namespace, r.Metadata.Name, place), tcp: r.Kind == kindTLSRoute}
	for i, ref := range rule.BackendRefs {
		key := Key{orElse(ref.Namespace, r.Metadata.Namespace), ref.Name}
		service, ok := t.Services[key]
		weight := 1
		if ref.Weight != nil {
			weight = min(*ref.Weight, 256)
		}
		switch {
		case key.Namespace != r.Metadata.Namespace || orElse(ref.Kind, kindService) != kindService:
			missing = "backends must be Services of the route's namespace"
		case !ok || !slices.ContainsFunc(service.Spec.Ports, func(p struct{ Port int }) bool { return p.Port == ref.Port }):
			missing = fmt.Sprintf("there is no port %d of a Service %s", ref.Port, key)
		case net.ParseIP(service.Spec.ClusterIP) == nil:
			missing = fmt.Sprintf("Service %s has no address", key)
		default:
			b.servers = append(b.servers, fmt.Sprintf("server s%d %s weight %d", i, net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(ref.Port)), weight))
		}
	}
	t.backends = append(t.backends, b)
	return b.name, missing
}

// take adds a route's rules at the host names that it has in common with the listener.
func (s *served) take(r Route, backends []string) (attached bool) {
	hosts := r.Spec.Hostnames
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, h := range hosts {
		host, ok := narrower(s.Hostname, h)
		if !ok {
			continue
		}
		attached = true
		for i, rule := range r.Spec.Rules {
			matches := rule.Matches
			if len(matches) == 0 {
				matches = []Match{{}}
			}
			for _, m := range matches {
				s.entries = append(s.entries, entry{host: host, match: m, route: r.Metadata, rule: i, backend: backends[i]})
			}
		}
	}
	return attached
}
