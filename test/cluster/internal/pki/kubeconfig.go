package pki

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// kubeconfig renders a kubeconfig file (as JSON, which is YAML) that holds the client's certificate and key itself, so that it
// works wherever it is copied to.
func kubeconfig(dir, file, user, server string) ([]byte, error) {
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	certificate, err := os.ReadFile(filepath.Join(dir, file+".crt"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, file+".key"))
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	const cluster = "relaykeep"
	context := user + "@" + cluster
	return json.MarshalIndent(object{
		"apiVersion": "v1",
		"kind":       "Config",
		// Byte slices are written as base64, which is what these fields hold.
		"clusters": []object{{"name": cluster, "cluster": object{"server": server, "certificate-authority-data": ca}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": certificate, "client-key-data": key,
		}}},
		"contexts":        []object{{"name": context, "context": object{"cluster": cluster, "user": user}}},
		"current-context": context,
	}, "", "  ")
}
