#!/bin/bash
# Vault's Kubernetes auth method: while Vault cannot reach the API server, a login is answered with 403 "permission denied",
# exactly like a token that the API server refuses.
#
# One expects 5xx from a server whose own dependency is down, and retries that. A 403 looks final: the role or the token is
# wrong. But the API server that reviews tokens may be down, overloaded, or refusing the token of Vault itself, and then a pod
# with a valid token is told that it has no permission. Vault logs the reason at the level debug, and nowhere else.
# So: retry a login that got 403, slowly and without an end, and do not report it as a wrong role.
#
# Source: vault-plugin-auth-kubernetes, path_login.go (sa.lookup); and the output below.
. "$(dirname "$0")/lib/common.sh"

plugin=v0.21.0
cat >main.go <<'GO'
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/sdk/logical"
)

func die(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(2)
	}
}

// token is what a pod shows: Vault leaves its signature to the API server.
func token() string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		die(err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	return part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:shop:till",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]string{"name": "till", "uid": "1"}},
	}) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
}

func main() {
	ctx := context.Background()
	storage := &logical.InmemStorage{}
	b, err := kubeauth.Factory(ctx, &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), StorageView: storage,
		System: &logical.StaticSystemView{DefaultLeaseTTLVal: time.Hour, MaxLeaseTTLVal: time.Hour},
	})
	die(err)
	// ask returns what Vault answers by HTTP.
	ask := func(op logical.Operation, path string, data map[string]any) (int, error) {
		req := &logical.Request{Operation: op, Path: path, Storage: storage, Data: data}
		resp, err := b.HandleRequest(ctx, req)
		return logical.RespondErrorCommon(req, resp, err)
	}
	login := func(what, host string) {
		_, err := ask(logical.UpdateOperation, "config", map[string]any{
			"kubernetes_host": host, "token_reviewer_jwt": token(), "disable_local_ca_jwt": true, "disable_iss_validation": true,
		})
		die(err)
		code, err := ask(logical.UpdateOperation, "login", map[string]any{"role": "till", "jwt": token()})
		if code == 0 {
			code = http.StatusOK
		}
		fmt.Printf("%s: %d, error %v\n", what, code, err)
	}
	api := func(status int, body string) string {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})).URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()

	_, err = ask(logical.CreateOperation, "role/till", map[string]any{"bound_service_account_names": "till", "bound_service_account_namespaces": "shop"})
	die(err)
	const review = `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":`
	login("the API server accepts the token", api(201, review+`{"authenticated":true,"user":{"username":"system:serviceaccount:shop:till","uid":"1"}}}`))
	login("the API server does not accept the token", api(201, review+`{"authenticated":false}}`))
	login("the API server is overloaded (503)", api(503, "apiserver is shutting down"))
	login("the API server refuses the token of Vault itself (401)", api(401, `{"kind":"Status","status":"Failure","reason":"Unauthorized","code":401}`))
	login("the API server is not running", closed.URL)
}
GO
go_program "github.com/hashicorp/vault-plugin-auth-kubernetes@$plugin"
echo "github.com/hashicorp/vault-plugin-auth-kubernetes $plugin"
expect 'the API server accepts the token: 200, error <nil>
the API server does not accept the token: 403, error permission denied
the API server is overloaded (503): 403, error permission denied
the API server refuses the token of Vault itself (401): 403, error permission denied
the API server is not running: 403, error permission denied' ./program
