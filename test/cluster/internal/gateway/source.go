package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Objects are where a gateway's objects are.
type Objects interface {
	// Read reads all that a gateway may refer to.
	Read(ctx context.Context, gateway Key) (State, error)
	// Tell says what the gateway makes of a route.
	Tell(ctx context.Context, gateway Key, v Verdict) error
}

// Controller is the name by which a gateway signs its words in a route's status.
const Controller = "relaykeep.dev/test-cluster-gateway"

// file has a list of objects in JSON.
type file string

// File returns the objects of a file. What the gateway says of them nobody hears.
func File(path string) Objects { return file(path) }

// Read implements Objects.
func (f file) Read(context.Context, Key) (State, error) {
	list, err := os.ReadFile(string(f))
	if err != nil {
		return State{}, fmt.Errorf("reading the objects: %w", err)
	}
	return Read(list)
}

// Tell implements Objects.
func (f file) Tell(context.Context, Key, Verdict) error { return nil }

// cluster runs kubectl with arguments and returns what it prints.
type cluster func(ctx context.Context, args ...string) ([]byte, error)

// Cluster returns the objects of the cluster that a kubectl speaks to.
func Cluster(kubectl func(ctx context.Context, args ...string) ([]byte, error)) Objects {
	return cluster(kubectl)
}

// Read implements Objects. Of Secrets it reads those of the gateway's namespace.
func (k cluster) Read(ctx context.Context, gateway Key) (State, error) {
	out, err := k(ctx, "get", "-A", "-o", "json", "services,gateways."+Group+",httproutes."+Group+",tlsroutes."+Group)
	if err != nil {
		return State{}, err
	}
	state, err := Read(out)
	if err != nil {
		return State{}, err
	}
	if out, err = k(ctx, "get", "-n", gateway.Namespace, "-o", "json", "secrets"); err != nil {
		return State{}, err
	}
	secrets, err := Read(out)
	state.Secrets = secrets.Secrets
	return state, err
}

// told is a condition of a route.
type told struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	ObservedGeneration int64  `json:"observedGeneration"`
	Time               string `json:"lastTransitionTime"`
}

// Tell writes a verdict into the route's status, unless it says so already.
func (k cluster) Tell(ctx context.Context, gateway Key, v Verdict) error {
	resource := strings.ToLower(v.Route.Kind) + "s." + Group
	ref := map[string]any{"group": Group, "kind": kindGateway, "namespace": gateway.Namespace, "name": gateway.Name}
	if v.Parent.SectionName != "" {
		ref["sectionName"] = v.Parent.SectionName
	}
	var all []told
	for kind, j := range map[string]Judgement{"Accepted": v.Accepted, "ResolvedRefs": v.Resolved} {
		status := "False"
		if j.True {
			status = "True"
		}
		all = append(all, told{kind, status, j.Reason, j.Message, v.Route.Metadata.Generation, ""})
	}
	if v.Route.says(all) {
		return nil
	}
	for i := range all {
		all[i].Time = time.Now().UTC().Format(time.RFC3339)
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"parents": []any{
		map[string]any{"parentRef": ref, "controllerName": Controller, "conditions": all},
	}}})
	if err != nil {
		return err
	}
	_, err = k(ctx, "patch", resource, v.Route.Metadata.Name, "-n", v.Route.Metadata.Namespace, "--subresource=status", "--type=merge", "-p", string(patch))
	if err != nil && strings.Contains(err.Error(), "NotFound") {
		return nil
	}
	return err
}

// says tells whether a route's status has just these conditions, whatever their times.
func (r Route) says(all []told) bool {
	if len(r.Status.Parents) != 1 || len(r.Status.Parents[0].Conditions) != len(all) {
		return false
	}
	for _, want := range all {
		found := false
		for _, c := range r.Status.Parents[0].Conditions {
			c.Time = ""
			found = found || c == want
		}
		if !found {
			return false
		}
	}
	return true
}
