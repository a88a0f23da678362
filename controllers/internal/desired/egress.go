package desired

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const (
	portDNS  int32 = 53
	portXMPP int32 = 5222

	portPostgres int32 = 5432
)

// public are the peers that are neither private nor a metadata service.
func public() []*policyPeer {
	return []*policyPeer{
		networkingv1ac.NetworkPolicyPeer().WithIPBlock(block("0.0.0.0/0", contract.SpecialIPv4()...)),
		networkingv1ac.NetworkPolicyPeer().WithIPBlock(block(contract.PublicIPv6, contract.SpecialIPv6()...)),
	}
}

func rule(to []*policyPeer, ports ...*policyPort) *egressRule {
	return networkingv1ac.NetworkPolicyEgressRule().WithTo(to...).WithPorts(ports...)
}

func explicit(e *v1alpha1.Egress) *egressRule { return rule(peers(e.To), ports(e.Ports)...) }

// towards opens ports of a host: at exactly that address if it is one; otherwise,
// because a policy knows no names, at all public addresses.
func towards(host string, open ...int32) *egressRule {
	ports := make([]*policyPort, 0, len(open))
	for _, port := range open {
		ports = append(ports, tcp(port))
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return rule(public(), ports...)
	}
	addr = addr.Unmap()
	only := netip.PrefixFrom(addr, addr.BitLen()).String()
	return rule([]*policyPeer{networkingv1ac.NetworkPolicyPeer().WithIPBlock(block(only))}, ports...)
}

func (in Input) dnsEgress() *egressRule {
	if e := in.Region.Spec.Network.DNS; e != nil {
		return explicit(e)
	}
	kubeDNS := networkingv1ac.NetworkPolicyPeer().
		WithNamespaceSelector(namespaceNamed("kube-system")).
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{"k8s-app": "kube-dns"}))
	udp := networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolUDP).WithPort(intstr.FromInt32(portDNS))
	return rule([]*policyPeer{kubeDNS}, udp, tcp(portDNS))
}

func (in Input) vaultEgress() *egressRule {
	if e := in.Region.Spec.Network.Vault; e != nil {
		return explicit(e)
	}
	return towardsURL(in.Region.Spec.Vault.Address)
}

func (in Input) carrierEgress(further ...int32) []*egressRule {
	if e := in.Region.Spec.Network.Carrier; e != nil {
		return []*egressRule{explicit(e)}
	}
	x := in.Region.Spec.Carrier.XMPP
	if x == nil {
		return nil
	}
	host, port := string(x.Domain), portXMPP
	if h, p, err := net.SplitHostPort(string(x.Address)); err == nil {
		host, port = h, parsePort(p, portXMPP)
	}
	further = slices.DeleteFunc(further, func(p int32) bool { return p == port })
	return []*egressRule{towards(host, append([]int32{port}, further...)...)}
}

// postgresEgress opens PostgreSQL to a relay whose store is there.
func (in Input) postgresEgress() []*egressRule {
	p := in.Region.Spec.Postgres
	if in.Relay.Spec.Storage.Postgres == nil || p == nil {
		return nil
	}
	if e := in.Region.Spec.Network.Postgres; e != nil {
		return []*egressRule{explicit(e)}
	}
	host, port, err := net.SplitHostPort(string(p.Address))
	if err != nil { // the API server has checked it
		return nil
	}
	return []*egressRule{towards(host, parsePort(port, portPostgres))}
}

// uploadPorts are where carriers' web servers for files (XEP-0363) usually listen:
// behind a proxy, Prosody's own, and ejabberd's own. A region whose carrier has
// another says so in network.carrier.
func uploadPorts() []int32 { return []int32{HTTPSPort, 5281, 5443} }

// webhookEgress opens the ports of webhook, processors and the log's witness at public addresses, and the private
// ones that the region names. Without any of these both stay closed.
func (in Input) webhookEgress() []*egressRule {
	open := map[int32]bool{}
	add := func(address string) {
		port := HTTPSPort
		if u, err := url.Parse(address); err == nil {
			port = parsePort(u.Port(), HTTPSPort)
		}
		open[port] = true
	}
	if w := in.webhook(); w != nil {
		add(w.URL)
	}
	for _, p := range in.processors() {
		add(p.URL)
	}
	if w := in.Relay.Spec.Log.Witness; w != nil {
		add(w.URL)
	}
	if len(open) == 0 {
		return nil
	}
	var ports []*policyPort
	for _, port := range slices.Sorted(maps.Keys(open)) {
		ports = append(ports, tcp(port))
	}
	rules := []*egressRule{rule(public(), ports...)}
	for i := range in.Region.Spec.Network.PrivateWebhooks {
		rules = append(rules, explicit(&in.Region.Spec.Network.PrivateWebhooks[i]))
	}
	return rules
}

// linkEgress opens the web servers that the region names for a business's links.
func (in Input) linkEgress() []*egressRule {
	var rules []*egressRule
	for i := range in.Region.Spec.Network.PrivateLinks {
		rules = append(rules, explicit(&in.Region.Spec.Network.PrivateLinks[i].Egress))
	}
	return rules
}

func towardsURL(address string) *egressRule {
	u, err := url.Parse(address)
	if err != nil {
		return rule(public(), tcp(HTTPSPort))
	}
	return towards(u.Hostname(), parsePort(u.Port(), HTTPSPort))
}

// parsePort reads a port and falls back where there is none.
func parsePort(s string, fallback int32) int32 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fallback
	}
	return int32(n)
}
