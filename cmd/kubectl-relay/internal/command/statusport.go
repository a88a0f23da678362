package command

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/forward"
)

// atStatusPort calls do with a client that reaches the status port of a pod through the API server, which takes the rights of
// kubectl port-forward. It waits for as long as patience for an answer to begin.
func atStatusPort(ctx context.Context, config *rest.Config, namespace, pod string, patience time.Duration, do func(context.Context, *http.Client) error) error {
	connecting, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	forwarder, err := forward.Open(connecting, config, namespace, pod)
	if apierrors.IsForbidden(err) {
		return explain(err, "the port of pod "+pod, "")
	}
	if err != nil {
		return err
	}
	defer func() { _ = forwarder.Close() }()
	return do(ctx, &http.Client{
		Transport: &http.Transport{
			DialContext:           func(context.Context, string, string) (net.Conn, error) { return forwarder.Dial(contract.StatusPort) },
			DisableKeepAlives:     true,
			ResponseHeaderTimeout: patience,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// askPods calls do for one pod of a relay after another, for as long as patience in all, until it returns no error: of several
// replicas only that which holds the store knows of it.
func askPods(ctx context.Context, config *rest.Config, k client.Reader, relay *v1alpha1.BusinessRelay, patience time.Duration, do func(context.Context, *http.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pods, err := runningPods(ctx, k, relay)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err = atStatusPort(ctx, config, relay.Namespace, pod, patience, do); err == nil || errors.Is(err, exit.ErrRefused) {
			break // who may not reach one may not reach the others
		}
	}
	return err
}
