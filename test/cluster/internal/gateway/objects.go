// Package gateway is a small Gateway of the Gateway API (v1) for tests: it turns one Gateway and the routes that
// are attached to it into a configuration of Debian's HAProxy, by the rules of precedence of the API, and says in
// their status what it made of them. What it does not know, it refuses: regular expressions, filters, references
// across namespaces, and listeners other than HTTPS (terminated) and TLS (passed through). It must not know what
// is behind the routes.
package gateway

import (
	"encoding/json"
	"fmt"
	"time"
)

// Group is the API group of gateways and routes.
const Group = "gateway.networking.k8s.io"

// Kinds.
const (
	kindGateway   = "Gateway"
	kindHTTPRoute = "HTTPRoute"
	kindTLSRoute  = "TLSRoute"
	kindService   = "Service"
	kindSecret    = "Secret"
)

// Key names an object in a namespace.
type Key struct{ Namespace, Name string }

func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Meta is as much of an object's metadata as precedence and status need.
type Meta struct {
	Namespace, Name string
	Generation      int64
	Created         time.Time `json:"creationTimestamp"`
}

func (m Meta) key() Key { return Key{m.Namespace, m.Name} }

// Gateway is what clients connect to.
type Gateway struct {
	Metadata Meta
	Spec     struct{ Listeners []Listener }
}

// Listener is a port of a gateway, for a host name.
type Listener struct {
	Name, Hostname, Protocol string
	Port                     int
	TLS                      struct {
		Mode            string
		CertificateRefs []Reference
	}
	AllowedRoutes struct {
		Namespaces struct{ From string }
	}
}

// Reference names another object.
type Reference struct {
	Group                 *string
	Kind, Namespace, Name string
	SectionName           string
	Port                  int
	Weight                *int
}

// Route is an HTTPRoute or a TLSRoute.
type Route struct {
	Kind     string
	Metadata Meta
	Spec     struct {
		ParentRefs []Reference
		Hostnames  []string
		Rules      []Rule
	}
	Status struct {
		Parents []struct{ Conditions []told }
	}
}

// Rule says which requests go to which backends. Those of a TLSRoute have no matches.
type Rule struct {
	Matches     []Match
	Filters     []json.RawMessage
	BackendRefs []Reference
}

// Match is what a request must be like, in all respects.
type Match struct {
	Path        *Value
	Method      string
	Headers     []Value
	QueryParams []Value
}

// Value is what a part of a request must be, or begin with.
type Value struct{ Type, Name, Value string }

// Service is what a backend reference names.
type Service struct {
	Metadata Meta
	Spec     struct {
		ClusterIP string
		Ports     []struct{ Port int }
	}
}

// Secret has a listener's certificate.
type Secret struct {
	Metadata Meta
	Data     map[string][]byte
}

// State is what is applied in a cluster.
type State struct {
	Gateways map[Key]Gateway
	Routes   []Route
	Services map[Key]Service
	Secrets  map[Key]Secret
}

// Read reads a list of objects in JSON. Kinds that it does not know are left out.
func Read(list []byte) (State, error) {
	s := State{Gateways: map[Key]Gateway{}, Services: map[Key]Service{}, Secrets: map[Key]Secret{}}
	var raw struct{ Items []json.RawMessage }
	if err := json.Unmarshal(list, &raw); err != nil {
		return s, fmt.Errorf("reading the list of objects: %w", err)
	}
	for _, item := range raw.Items {
		if err := s.add(item); err != nil {
			return s, fmt.Errorf("reading an object: %w", err)
		}
	}
	return s, nil
}

func (s *State) add(item json.RawMessage) error {
	var of struct{ Kind string }
	if err := json.Unmarshal(item, &of); err != nil {
		return err
	}
	switch of.Kind {
	case kindGateway:
		return into(item, s.Gateways, func(g Gateway) Key { return g.Metadata.key() })
	case kindService:
		return into(item, s.Services, func(o Service) Key { return o.Metadata.key() })
	case kindSecret:
		return into(item, s.Secrets, func(o Secret) Key { return o.Metadata.key() })
	case kindHTTPRoute, kindTLSRoute:
		var r Route
		if err := json.Unmarshal(item, &r); err != nil {
			return err
		}
		s.Routes = append(s.Routes, r)
	}
	return nil
}

func into[T any](item json.RawMessage, all map[Key]T, key func(T) Key) error {
	var o T
	if err := json.Unmarshal(item, &o); err != nil {
		return err
	}
	all[key(o)] = o
	return nil
}
