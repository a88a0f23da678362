package admission

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

type fields = map[string]any

// mounted adds a volume and mounts it.
func mounted(spec string, volume fields) func(fields) {
	volume["name"] = "extra"
	return all(add(spec+"/volumes", volume), add(spec+"/containers/0/volumeMounts", fields{"name": "extra", "mountPath": "/extra"}))
}

// claimed has the relay mount another claim.
func claimed(spec, name string) func(fields) {
	return at(spec, func(s fields) {
		for _, v := range s["volumes"].([]any) {
			if claim, is := v.(fields)["persistentVolumeClaim"].(fields); is {
				claim["claimName"] = name
			}
		}
	})
}

// image is a rule's edit of the image.
func image(spec, reference string) func(fields) {
	return put(spec+"/containers/0/image", reference)
}

// argument replaces one argument: 0 is the command, 4 the region, 5 to 10 say where Vault
// is, 11 to 14 where the carrier is.
func argument(spec string, i int, value string) func(fields) {
	return at(spec+"/containers/0", func(c fields) { c["args"].([]any)[i] = value })
}

// inRegion makes a pod, in all it says, one of another region.
func inRegion(region, audience string) func(fields) {
	return all(
		labelled(region), selector(nodeRegion, region), argument("spec", 4, region),
		put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", audience),
	)
}

// podRules are what neither a relay nor a janitor may be, with the path of its pod's
// spec in the manifest.
func podRules(spec string) []rule {
	c := spec + "/containers/0"
	const (
		alone     = "must be alone in its pod"
		variables = "no environment variables"
		beside    = "nothing may run beside"
		node      = "must share nothing with its node"
		places    = "must mount each volume where the operator would"
		volumes   = "may mount its own configuration"
		account   = "must run as a service account named"
		powers    = "read-only root"
		root      = "must not be root"
		confined  = "must have its node's default confinement"
		priority  = "must not evict the cluster's own components"
	)
	const vault = "must log in at the Vault of its DataRegion"
	other := fields{"name": "other", "image": relayImage}
	probe := fields{"exec": fields{"command": []any{"/relay", "erase"}}}
	return []rule{
		{"another image", none, image(spec, "evil.example/relay:dev"), "this image may not hold a token for Vault"},
		{"an image whose name begins alike", none, image(spec, "ghcr.io/relaykeep/relay-evil:dev"), "this image may not hold a token for Vault"},
		{"another command", none, put(c+"/command", []any{"/bin/sh"}), "remove command"},
		{"no arguments", none, put(c+"/args", nil), "ValidatingAdmissionPolicy"}, // of two, either answers
		{"a former release's arguments", none, at(c, func(c fields) { c["args"] = c["args"].([]any)[:5] }), "ValidatingAdmissionPolicy"},
		{"another configuration", none, argument(spec, 2, "/tmp/relay.json"), "a relay runs serve"},
		{"another region", none, argument(spec, 4, "na"), "a relay runs serve"},
		{"another command of the relay", none, argument(spec, 0, "export"), "a relay runs serve"},
		{"another argument", none, add(c+"/args", "--log-level=debug"), "a relay runs serve"},
		{"another Vault", none, argument(spec, 5, "--vault-address=https://evil.example:8200"), vault},
		{"a second Vault", none, add(c+"/args", "--vault-address=https://evil.example:8200"), "ValidatingAdmissionPolicy"},
		{"another authority for Vault", none, argument(spec, 6, "--vault-ca=-----BEGIN CERTIFICATE-----"), vault},
		{"another auth mount", none, argument(spec, 7, "--vault-auth-path=evil"), vault},
		{"another KV mount", none, argument(spec, 8, "--vault-kv-mount=evil"), vault},
		{"another transit mount", none, argument(spec, 9, "--vault-transit-mount=evil"), vault},
		{"another PKI mount", none, argument(spec, 10, "--vault-pki-mount=evil"), vault},
		{"an environment variable", none, put(c+"/env", []any{fields{"name": "SSL_CERT_FILE", "value": "/tmp/ca.pem"}}), variables},
		{"the test build's clock", none, put(c+"/env", []any{fields{"name": "RELAYKEEP_CLOCK_OFFSET", "value": "1h"}}), variables},
		{"a Secret as environment", none, put(c+"/envFrom", []any{fields{"secretRef": fields{"name": "s"}}}), variables},
		{"a second container", none, add(spec+"/containers", other), alone},
		{"an init container", none, put(spec+"/initContainers", []any{other}), alone},
		{"a lifecycle hook", none, put(c+"/lifecycle", fields{"postStart": probe}), beside},
		{"a probe that runs a program", none, put(c+"/livenessProbe", probe), beside},
		{"a probe of another host", none, put(c+"/readinessProbe", fields{"httpGet": fields{"host": "169.254.169.254", "port": int64(80)}}), beside},
		{"a privileged container", none, put(c+"/securityContext", fields{"privileged": true}), powers},
		{"a capability", none, put(c+"/securityContext/capabilities", fields{"add": []any{"SYS_PTRACE"}}), powers},
		{"a writable root", none, put(c+"/securityContext/readOnlyRootFilesystem", false), powers},
		{"a capability that is kept", none, put(c+"/securityContext/capabilities/drop", []any{"NET_RAW"}), powers},
		{"no word on capabilities", none, put(c+"/securityContext/capabilities", nil), powers},
		{"root", put(spec+"/securityContext/runAsUser", int64(1000)), put(spec+"/securityContext/runAsUser", int64(0)), root},
		{"root in the container", put(c+"/securityContext/runAsUser", int64(1000)), put(c+"/securityContext/runAsUser", int64(0)), root},
		{"root as far as the container says", none, put(c+"/securityContext/runAsNonRoot", false), root},
		{"no word on root", put(spec+"/securityContext/runAsNonRoot", nil), all(put(spec+"/securityContext/runAsNonRoot", nil), put(c+"/securityContext/runAsNonRoot", nil)), root},
		{"root's group", none, put(spec+"/securityContext/runAsGroup", int64(0)), root},
		{"root's group in the container", none, put(c+"/securityContext/runAsGroup", int64(0)), root},
		{"root's group for its files", none, put(spec+"/securityContext/fsGroup", int64(0)), root},
		{"further groups", none, put(spec+"/securityContext/supplementalGroups", []any{int64(0)}), root},
		{"no seccomp profile", none, put(spec+"/securityContext/seccompProfile", nil), confined},
		{"every system call", none, put(spec+"/securityContext/seccompProfile", fields{"type": "Unconfined"}), confined},
		{"every system call in the container", put(c+"/securityContext/seccompProfile", fields{"type": "RuntimeDefault"}), put(c+"/securityContext/seccompProfile", fields{"type": "Unconfined"}), confined},
		{"a seccomp profile of its own", none, put(spec+"/securityContext/seccompProfile", fields{"type": "Localhost", "localhostProfile": "x.json"}), confined},
		{"no AppArmor", put(spec+"/securityContext/appArmorProfile", fields{"type": "RuntimeDefault"}), put(spec+"/securityContext/appArmorProfile", fields{"type": "Unconfined"}), confined},
		{"no AppArmor in the container", none, put(c+"/securityContext/appArmorProfile", fields{"type": "Unconfined"}), confined},
		{"another SELinux label", none, put(spec+"/securityContext/seLinuxOptions", fields{"type": "spc_t"}), confined},
		{"another SELinux label in the container", none, put(c+"/securityContext/seLinuxOptions", fields{"level": "s0"}), confined},
		{"all of /proc", put(c+"/securityContext/procMount", "Default"), all(put(spec+"/hostUsers", false), put(c+"/securityContext/procMount", "Unmasked")), confined},
		{"a kernel setting", none, put(spec+"/securityContext/sysctls", []any{fields{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}}), confined},
		{"Kubernetes' own priority", none, put(spec+"/priorityClassName", "system-node-critical"), priority},
		{"Services as environment", none, put(spec+"/enableServiceLinks", true), variables},
		{"a device", none, put(spec+"/resourceClaims", []any{fields{"name": "gpu", "resourceClaimName": "gpu"}}), node},
		{"the node's network", none, put(spec+"/hostNetwork", true), node},
		{"the node's processes", none, put(spec+"/hostPID", true), node},
		{"a port of the node", none, add(c+"/ports", fields{"containerPort": int64(8081), "hostPort": int64(8081)}), node},
		{"another name for Vault", none, put(spec+"/hostAliases", []any{fields{"ip": "192.0.2.1", "hostnames": []any{"vault.eu.example.org"}}}), "must use the cluster's DNS"},
		{"another resolver", none, put(spec+"/dnsConfig", fields{"nameservers": []any{"192.0.2.1"}}), "must use the cluster's DNS"},
		{"the node's resolver", none, put(spec+"/dnsPolicy", "Default"), "must use the cluster's DNS"},
		{"an account that is no relay's", none, put(spec+"/serviceAccountName", "default"), account},
		{"a token for the API server", none, put(spec+"/automountServiceAccountToken", true), account},
		{"the node's files", none, mounted(spec, fields{"hostPath": fields{"path": "/"}}), volumes},
		{"another tenant's configuration", none, put(spec+"/volumes/0/configMap/name", "globex-relay"), volumes},
		{"another key of the configuration", none, put(spec+"/volumes/0/configMap/items", []any{fields{"key": "other", "path": "relay.json"}}), volumes},
		{"a Secret", none, mounted(spec, fields{"secret": fields{"secretName": "s"}}), volumes},
		{"a Secret's other keys", none, mounted(spec, fields{"secret": fields{"secretName": "s", "items": []any{fields{"key": "password", "path": "tls.key"}}}}), volumes},
		{"another tenant's claim", none, mounted(spec, fields{"persistentVolumeClaim": fields{"claimName": "globex-relay"}}), volumes},
		{"a mount over the program", none, add(c+"/volumeMounts", fields{"name": "tmp", "mountPath": "/relay"}), places},
		{"a mount over the token", none, put(c+"/volumeMounts/1/name", "tmp"), places},
		{"a writable configuration", none, all(put(c+"/volumeMounts/0/name", "tmp")), places},
		{"two tokens", none, mounted(spec, fields{"projected": fields{"sources": []any{fields{"serviceAccountToken": fields{"audience": "relaykeep.dev/janitor/eu", "path": "token"}}}}}), "exactly one token for Vault"},
		{"a token beside other things", none, add(spec+"/volumes/1/projected/sources", fields{"configMap": fields{"name": "x"}}), "exactly one token for Vault"},
		{"the audience of credentials", none, at(spec+"/volumes/1/projected/sources/0", put("serviceAccountToken/audience", "relaykeep.dev/credentials/eu")), "exactly one token for Vault"},
		{"the audience of a keeper", none, at(spec+"/volumes/1/projected/sources/0", put("serviceAccountToken/audience", "relaykeep.dev/keeper/eu")), "exactly one token for Vault"},
		{"a relay's audience of another region", none, at(spec+"/volumes/1/projected/sources/0", put("serviceAccountToken/audience", "relaykeep.dev/relay/na")), "exactly one token for Vault"},
		{"a janitor's audience of another region", none, at(spec+"/volumes/1/projected/sources/0", put("serviceAccountToken/audience", "relaykeep.dev/janitor/na")), "exactly one token for Vault"},
		{"a former release's audience", none, at(spec+"/volumes/1/projected/sources/0", put("serviceAccountToken/audience", "relaykeep.dev/relay")), "exactly one token for Vault"},
		{"a termination message from elsewhere", none, put(c+"/terminationMessagePath", "/tmp/log"), "termination message"},
		{"a termination message from the log", none, put(c+"/terminationMessagePolicy", "FallbackToLogsOnError"), "termination message"},
	}
}

// named is said of a pod that has a token for Vault and no name of a relay's.
const named = "must be named after its relay"

// generated has the API server choose the end of the name, as for a Job's pods.
func generated(prefix string) func(fields) {
	return all(put("metadata/name", nil), put("metadata/generateName", prefix))
}

// carrierRules are for those who speak to the carrier.
func carrierRules(spec string) []rule {
	const carrier = "must use the carrier of its DataRegion"
	return []rule{
		{"another carrier", none, argument(spec, 11, "--xmpp-domain=evil.example"), carrier},
		{"another address of the carrier", none, argument(spec, 12, "--xmpp-address=192.0.2.1:5222"), carrier},
		{"another authority for the carrier", none, argument(spec, 13, "--xmpp-ca=-----BEGIN CERTIFICATE-----"), carrier},
		{"another way to an account", none, argument(spec, 14, "--xmpp-registration=Open"), carrier},
		{"customers without numbers", none, at(spec+"/containers/0", func(c fields) {
			c["args"] = append(c["args"].([]any), "--xmpp-customers-without-number=Allow")
		}), carrier},
		{"no carrier", none, at(spec+"/containers/0", func(c fields) { c["args"] = c["args"].([]any)[:11] }), "a relay runs serve"},
	}
}

// formerPod is the pod of a janitor as a former release made it: its audience and its
// arguments name no Vault, its configuration does.
func (h *house) formerPod(t *testing.T) string {
	t.Helper()
	return manifest(t, object(t, h.janitorPod, all(
		put("metadata/name", "acme-retention-2"),
		put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/janitor"),
		at("spec/containers/0", func(c fields) { c["args"] = c["args"].([]any)[:5] }),
	)).Object)
}

// formerPodRules hold what was left behind to what can destroy and read nothing.
func formerPodRules() []rule {
	anyRelease := image("spec", "ghcr.io/relaykeep/relay:v0")
	return []rule{
		{"a relay's audience", anyRelease, put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/relay"), "ValidatingAdmissionPolicy"},
		{"a region's audience", anyRelease, put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/janitor/eu"), "ValidatingAdmissionPolicy"},
		{"a relay's command", anyRelease, argument("spec", 0, "serve"), "a relay runs serve"},
		{"erasure", anyRelease, argument("spec", 0, "erase"), "a relay runs serve"},
		{"another region", anyRelease, argument("spec", 4, "na"), "a relay runs serve"},
		{"a Vault", anyRelease, add("spec/containers/0/args", "--vault-address=https://evil.example"), "a relay runs serve"},
		{"a region that nobody made", anyRelease, inRegion("zz", "relaykeep.dev/janitor"), "there is no DataRegion zz"},
	}
}

// credentialRules hold the Secret with a receiver's own credentials to the relay's, and to its two keys.
func credentialRules(spec string) []rule {
	const volumes, places = "of <BusinessRelay>-webhook-credentials", "must mount each volume where the operator would"
	volume := func(edit func(fields)) func(fields) {
		return at(spec, func(s fields) { edit(called(s["volumes"], "webhook-credentials")["secret"].(fields)) })
	}
	items := func(items ...any) func(fields) { return volume(func(s fields) { s["items"] = items }) }
	item := func(key, path string) fields { return fields{"key": key, "path": path} }
	mountAt := func(path string) func(fields) {
		return at(spec+"/containers/0", func(c fields) { called(c["volumeMounts"], "webhook-credentials")["mountPath"] = path })
	}
	return []rule{
		{"another Secret's credentials", none, volume(func(s fields) { s["secretName"] = "globex-webhook-credentials" }), volumes},
		{"credentials of any name", none, volume(func(s fields) { s["secretName"] = "passwords" }), volumes},
		{"a further key of the credentials", items(item("verifyToken", "verifyToken")), items(item("verifyToken", "verifyToken"), item("password", "password")), volumes},
		{"another key as verify token", none, items(item("password", "verifyToken")), volumes},
		{"the app secret as verify token", none, items(item("appSecret", "verifyToken")), volumes},
		{"all keys of the credentials", none, items(), volumes},
		{"credentials elsewhere", none, mountAt("/etc/relaykeep/credentials"), places},
		{"credentials over the configuration", none, mountAt("/etc/relaykeep"), places},
	}
}

// accountRules hold what a relay tells of its business account to its own ConfigMap, and to one place.
func accountRules(spec string) []rule {
	const volumes, places = "may mount its own configuration", "must mount each volume where the operator would"
	volume := func(edit func(fields)) func(fields) {
		return at(spec, func(s fields) { edit(called(s["volumes"], "account")["configMap"].(fields)) })
	}
	mount := func(edit func(fields)) func(fields) {
		return at(spec+"/containers/0", func(c fields) { edit(called(c["volumeMounts"], "account")) })
	}
	return []rule{
		{"another tenant's business account", none, volume(put("name", "globex-relay")), volumes},
		{"another key of the business account", none, volume(put("items", []any{fields{"key": "other", "path": "account.json"}})), volumes},
		{"all keys of the business account", none, volume(put("items", nil)), "ValidatingAdmissionPolicy"},
		{"a business account of another name", none, volume(put("items", []any{fields{"key": "account.json", "path": "relay.json"}})), volumes},
		{"a business account over the configuration", none, mount(put("mountPath", "/etc/relaykeep")), places},
		{"a business account that stays as it was", none, mount(put("subPath", "account.json")), places},
	}
}

// called returns the entry of a list that has a name.
func called(list any, name string) fields {
	for _, entry := range list.([]any) {
		if entry := entry.(fields); entry["name"] == name {
			return entry
		}
	}
	panic("nothing is called " + name) // a mistake in the test's table
}

// linkRules hold the hosts of private links to those of the DataRegion, which has none.
func linkRules(spec string) []rule {
	const links = "must take links to the private hosts of its DataRegion"
	return []rule{
		{"links to a private host", none, add(spec+"/containers/0/args", "--private-links=files.acme.svc"), links},
		{"a PostgreSQL that the DataRegion does not name", none, add(spec+"/containers/0/args", "--postgres-address=192.0.2.1:5432", "--postgres-ca="), "must use the PostgreSQL of its DataRegion"},
		{"links to no private host, said twice", none, add(spec+"/containers/0/args", "--private-links=", "--private-links="), "ValidatingAdmissionPolicy"},
	}
}

func relayPodRules() []rule {
	return append(append(append(append(podRules("spec"), carrierRules("spec")...), credentialRules("spec")...), append(accountRules("spec"), linkRules("spec")...)...),
		rule{"another release", none, image("spec", "ghcr.io/relaykeep/relay:v0"), "a cluster admin allows " + relayImage},
		rule{"a claim like that of a relay that moved", claimed("spec", "acme-relay-12"), claimed("spec", "acme-relay-1-relay"), "may mount its own configuration and claim"},
		rule{"a name by which it could be entered", put("metadata/name", "acme-relay-12"), put("metadata/name", "acme-relay-x0"), named},
		rule{"a janitor's name", none, put("metadata/name", "acme-retention-1"), named},
		rule{"another relay's name", none, put("metadata/name", "globex-relay-0"), named},
		rule{"a janitor's command", none, argument("spec", 0, "retain"), "a relay runs serve"},
		rule{"no region", none, all(put("metadata/labels", fields{}), argument("spec", 4, "")), "exactly one token for Vault"},
		rule{"a region that nobody made", none, inRegion("zz", "relaykeep.dev/relay/zz"), "there is no DataRegion zz"},
		rule{"the Vault of another region", none, inRegion("na", "relaykeep.dev/relay/na"), "must log in at the Vault of its DataRegion"},
		rule{"an audience of its own making", put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", "vault"), put("spec/volumes/1/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/root"), "exactly one token for Vault"},
	)
}

func janitorPodRules() []rule {
	elsewhere := "ghcr.io/relaykeep/relay:5000/evil/relay"
	digest := "@sha256:" + strings.Repeat("0a", 32)
	return append(podRules("spec"),
		rule{"a name by which it could be entered", generated("acme-retention-now-"), generated("now-"), named},
		rule{"a relay's name", none, put("metadata/name", "acme-relay-0"), named},
		rule{"another release of another repository", image("spec", "ghcr.io/relaykeep/relay:v0"), image("spec", "ghcr.io/evil/relay:v0"), "may not hold a token"},
		rule{"a repository that hides behind the name", image("spec", "ghcr.io/relaykeep/relay:v0"), image("spec", elsewhere), "may not hold a token"},
		rule{"a digest of another repository", image("spec", "ghcr.io/relaykeep/relay"+digest), image("spec", "ghcr.io/relaykeep/relays"+digest), "may not hold a token"},
		rule{"a tag behind which another repository hides", none, image("spec", elsewhere+digest), "may not hold a token"},
		rule{"a relay's command", none, argument("spec", 0, "serve"), "a relay runs serve"},
		rule{"the command that takes both tokens", none, argument("spec", 0, "erase"), "a relay runs serve"},
		rule{"the relay's business account", none, mounted("spec", fields{"configMap": fields{"name": "acme-relay", "items": []any{fields{"key": "account.json", "path": "account.json"}}}}), "a janitor its configuration"},
		rule{"a carrier", none, add("spec/containers/0/args", "--xmpp-domain=eu.example.org"), "ValidatingAdmissionPolicy"},
		rule{"the relay's volume", none, mounted("spec", fields{"persistentVolumeClaim": fields{"claimName": "acme-relay"}}), "a janitor its configuration"},
	)
}

// withoutTokens makes a workload that would not log in at Vault at all.
func withoutTokens(spec string) func(fields) {
	return all(
		put(spec+"/volumes", []any{fields{"name": "tmp", "emptyDir": fields{}}}),
		put(spec+"/containers/0/volumeMounts", []any{fields{"name": "tmp", "mountPath": "/tmp"}}),
	)
}

func statefulSetRules() []rule {
	const spec = "spec/template/spec"
	return append(append(append(append(podRules(spec), carrierRules(spec)...), credentialRules(spec)...), append(accountRules(spec), linkRules(spec)...)...),
		rule{"no token for Vault", none, withoutTokens(spec), "exactly one token for Vault"},
		rule{"a claim of its own", none, put("spec/volumeClaimTemplates", []any{fields{"metadata": fields{"name": "x"}, "spec": fields{
			"accessModes": []any{"ReadWriteOnce"}, "resources": fields{"requests": fields{"storage": "1Gi"}},
		}}}), "remove volumeClaimTemplates"},
	)
}

func jobRules() []rule {
	const spec = "spec/template/spec"
	return append(append(podRules(spec), carrierRules(spec)...),
		rule{"no token for Vault", none, withoutTokens(spec), "exactly one token for Vault"},
		rule{"links to a private host", none, add(spec+"/containers/0/args", "--private-links=files.acme.svc"), "ValidatingAdmissionPolicy"},
		rule{"a PostgreSQL", none, add(spec+"/containers/0/args", "--postgres-address=192.0.2.1:5432", "--postgres-ca="), "ValidatingAdmissionPolicy"},
		rule{"a relay's command with both tokens", none, argument(spec, 0, "serve"), "a relay runs serve"},
		rule{"a janitor's command with both tokens", none, argument(spec, 0, "retain"), "a relay runs serve"},
	)
}

func cronJobRules() []rule {
	const spec = "spec/jobTemplate/spec/template/spec"
	former := put(spec+"/volumes/1/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/janitor")
	return append(podRules(spec), rule{"a former release's", none, all(former, at(spec+"/containers/0", func(c fields) { c["args"] = c["args"].([]any)[:5] })), "ValidatingAdmissionPolicy"}, rule{"no token for Vault", none, withoutTokens(spec), "exactly one token for Vault"})
}

// testRunningPod holds that a pod cannot be changed into what it could not have been
// made as, and that everything else about it still can be.
func (h *house) testRunningPod(t *testing.T) {
	pod := object(t, h.relayPod, put("metadata/name", "acme-relay-7"))
	if err := server.Client.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, pod)
	patch := func(sub, text string) error {
		o, p := object(t, manifest(t, pod.Object), nil), client.RawPatch("application/strategic-merge-patch+json", []byte(text))
		if sub != "" {
			return server.Client.SubResource(sub).Patch(t.Context(), o, p)
		}
		return server.Client.Patch(t.Context(), o, p, client.DryRunAll)
	}
	wantRefusal(t, patch("", `{"spec":{"containers":[{"name":"relay","image":"evil.example/relay:dev"}]}}`), "this image may not hold a token")
	wantRefusal(t, patch("ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox"}]}}`), "must be alone in its pod")
	if err := patch("", `{"metadata":{"annotations":{"a":"b"}}}`); err != nil {
		t.Errorf("an annotation is refused: %v", err)
	}
	plain := object(t, podYAML, put("metadata/name", "plain"))
	if err := server.Client.Create(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, plain)
	debug := client.RawPatch("application/strategic-merge-patch+json", []byte(`{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox"}]}}`))
	if err := server.Client.SubResource("ephemeralcontainers").Patch(t.Context(), plain, debug); err != nil {
		t.Errorf("the accepted twin, debugging a pod without a token for Vault, is refused: %v", err)
	}
}
