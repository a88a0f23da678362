package lab

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/gatewayapi"
	"github.com/relaykeep/relaykeep/test/lab/process"
)

// The lab's Gateway, for the tests that have one: Debian's HAProxy at this machine's address.
const (
	GatewayNamespace = "gateways"
	GatewayName      = "public"
	GatewayPort      = 19443
	// Its listeners: one passes TLS on below EndpointDomain, one terminates it at SharedHost.
	ListenerTLS    = "tls"
	ListenerHTTPS  = "https"
	EndpointDomain = "relays.test"
	SharedHost     = "api.relays.test"

	gatewayProcess = "gateway"
)

const gatewayYAML = `
{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s}}
---
{apiVersion: v1, kind: Secret, metadata: {name: api, namespace: %[1]s}, type: kubernetes.io/tls, data: {tls.crt: %[2]s, tls.key: %[3]s}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %[4]s, namespace: %[1]s}
spec:
  gatewayClassName: lab
  listeners:
    - {name: %[5]s, port: %[6]d, protocol: TLS, hostname: "*.%[7]s", tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}
    - {name: %[8]s, port: %[6]d, protocol: HTTPS, hostname: %[9]s, tls: {certificateRefs: [{name: api}]}, allowedRoutes: {namespaces: {from: All}}}
`

// DefineRoutes makes the cluster serve the Gateway API's kinds.
func (l *Lab) DefineRoutes(ctx context.Context) error {
	definitions, err := gatewayapi.Definitions(ctx, "gateways", "httproutes", "tlsroutes", "grpcroutes", "listenersets")
	if err != nil {
		return err
	}
	for _, d := range definitions {
		text, err := manifest(d)
		if err != nil {
			return err
		}
		if _, err := l.Apply(ctx, text); err != nil {
			return err
		}
		if _, err := l.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd/"+d.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// ServeGateway makes the Gateway, and serves it with what is routed there.
func (l *Lab) ServeGateway(ctx context.Context) error {
	if err := l.DefineRoutes(ctx); err != nil {
		return err
	}
	chain, key, _, err := l.certificate(gatewayProcess, SharedHost)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(gatewayYAML, GatewayNamespace, base64.StdEncoding.EncodeToString(chain), base64.StdEncoding.EncodeToString(key),
		GatewayName, ListenerTLS, GatewayPort, EndpointDomain, ListenerHTTPS, SharedHost)
	if _, err := l.Apply(ctx, text); err != nil {
		return err
	}
	if _, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"packages", "haproxy"}, quiet: true}); err != nil {
		return err
	}
	return l.keeper.Start(ctx, process.Spec{
		Name: gatewayProcess, Path: l.clusterProgram(), Dir: l.root, Env: append(os.Environ(), "KUBECONFIG="+l.kubeconfig),
		Args: []string{"gateway", GatewayNamespace + "/" + GatewayName, l.address}, Log: filepath.Join(l.dir, "logs", gatewayProcess+".log"),
	})
}

// EndGateway ends what ServeGateway made, but for the kinds.
func (l *Lab) EndGateway(ctx context.Context) error {
	_, err := l.Kubectl(ctx, "delete", "namespace", GatewayNamespace, "--timeout=90s")
	return errors.Join(l.keeper.Stop(ctx, gatewayProcess), err)
}

// GatewayLog is what the Gateway says.
func (l *Lab) GatewayLog() string { return filepath.Join(l.dir, "logs", gatewayProcess+".log") }

// SetUpVault prepares a region's Vault for what its DataRegion says now.
func (l *Lab) SetUpVault(ctx context.Context, r *Region) (string, error) {
	return l.AsVaultAdmin(ctx, r, "relay", "setup", "vault", "--region", r.Name)
}

// AsVaultAdmin runs kubectl with the login of the admin of a region's Vault.
func (l *Lab) AsVaultAdmin(ctx context.Context, r *Region, args ...string) (string, error) {
	s, err := l.Vault(ctx, r)
	if err != nil {
		return "", err
	}
	root, err := s.Root()
	if err != nil {
		return "", err
	}
	return l.run(ctx, command{
		path: l.kubectl, args: args, quiet: true,
		env: []string{"VAULT_TOKEN=" + root.Token()},
	})
}
