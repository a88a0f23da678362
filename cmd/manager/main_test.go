package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
)

func TestMetrics_AreServedInClearOnlyWhereThatIsSaid(t *testing.T) {
	secure, err := metricsOptions(&settings{metricsAddress: ":8080", metricsSecure: true})
	if err != nil || !secure.SecureServing || secure.FilterProvider == nil || secure.BindAddress != ":8080" {
		t.Errorf("secure metrics are %+v, %v", secure, err)
	}
	config := &tls.Config{}
	for _, set := range secure.TLSOpts {
		set(config)
	}
	if config.MinVersion < tls.VersionTLS12 || !slices.Equal(config.NextProtos, []string{"http/1.1"}) {
		t.Errorf("TLS is version %x and speaks %v", config.MinVersion, config.NextProtos)
	}
	open, err := metricsOptions(&settings{metricsAddress: ":8080"})
	if err != nil || open.SecureServing || open.FilterProvider != nil || open.BindAddress != ":8080" {
		t.Errorf("metrics in clear are %+v, %v", open, err)
	}
}

// controller-runtime serves a certificate that it makes itself where a file of the admin's is missing.
func TestMetrics_OwnCertificateMustBeThere(t *testing.T) {
	dir := t.TempDir()
	s := &settings{metricsSecure: true, metricsCertificate: dir}
	if _, err := metricsOptions(s); err == nil || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("without a certificate it ends with %v", err)
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey("relaykeep-manager-metrics.relaykeep-system.svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{certificateFile: certificate, keyFile: key} {
		if _, err := metricsOptions(s); err == nil {
			t.Errorf("without %s there is no error", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if o, err := metricsOptions(s); err != nil || o.CertDir != dir {
		t.Errorf("with a certificate the options are %+v, %v", o, err)
	}
}
