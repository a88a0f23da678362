package controllers

import (
	"net/http"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/controllers/internal/guard"
)

// To serve metrics only to those who may read them, the operator has the API server check their tokens and rights.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// MetricsFilter lets only those read the metrics whom the API server of cfg knows by their bearer token and allows to
// get the path.
func MetricsFilter(cfg *rest.Config, client *http.Client) (server.Filter, error) {
	g, err := guard.New(cfg, client)
	if err != nil {
		return nil, err
	}
	return g.Filter, nil
}
