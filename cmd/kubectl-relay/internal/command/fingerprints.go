package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// customerDevice is one device of a customer, as the relay knows it.
type customerDevice struct {
	ID uint32 `json:"id"`
	// Fingerprint is the identity key's, eight groups of eight hexadecimal digits; empty
	// while the key is not known.
	Fingerprint string `json:"fingerprint,omitempty"`
	Active      bool   `json:"active"` // it is on the customer's device list
}

func newFingerprints(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var output textOrJSON
	cmd := &cobra.Command{
		Use:   "fingerprints NAME NUMBER|USER-ID",
		Short: "Show the identity keys of one customer's devices",
		Long: `Show the fingerprints of the identity keys with which one customer's devices encrypt, as
OMEMO clients show a device's own key: eight groups of eight hexadecimal digits. Read them
to the customer, or have them read to you: if all are equal, nobody is in between. The
customer in turn compares the business's own fingerprint, which kubectl relay invite shows.

` + whichCustomer + howCalled,
		Example: `  kubectl relay fingerprints acme +491701234567 -n acme`,
		Args:    relayAndCustomer,
	}
	f.add(cmd)
	output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = f.onCustomer(cluster, func(cmd *cobra.Command, _ []string, e *endpoint, who person) error {
		devices, err := e.devices(cmd.Context(), who)
		if err != nil {
			return err
		}
		if output == asJSON {
			return writeJSON(streams.Out, map[string]any{"devices": devices})
		}
		printFingerprints(streams.Out, devices)
		return nil
	}, output.check)
	return cmd
}

// devices asks the endpoint which devices a person writes with.
func (e *endpoint) devices(ctx context.Context, who person) ([]customerDevice, error) {
	body, err := e.call(ctx, http.MethodGet, who, url.Values{"limit": {"1"}})
	if err != nil {
		return nil, err
	}
	var kept struct {
		Devices []struct {
			customerDevice
			IdentityKey []byte `json:"identity_key"`
		} `json:"devices"`
	}
	if json.Unmarshal(body, &kept) != nil {
		return nil, errors.New("the relay's answer is not an export")
	}
	devices := make([]customerDevice, 0, len(kept.Devices))
	for _, d := range kept.Devices {
		if key, err := signal.ParseIdentityKey(d.IdentityKey); err == nil {
			d.Fingerprint = key.Fingerprint()
		}
		devices = append(devices, d.customerDevice)
	}
	return devices, nil
}

func printFingerprints(w io.Writer, devices []customerDevice) {
	if len(devices) == 0 {
		fmt.Fprintln(w, "The relay knows no devices of this person.")
	}
	for _, d := range devices {
		fingerprint, note := d.Fingerprint, ""
		if fingerprint == "" {
			fingerprint = "(key not known yet)"
		}
		if !d.Active {
			note = ", no longer on the device list"
		}
		fmt.Fprintf(w, "device %d%s:\n  %s\n", d.ID, note, fingerprint)
	}
}
