package command

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// maxReply bounds what a relay says about its file.
const maxReply = 4 << 10

// newMoveToken is a secret with which the command shows a relay that an admin of Vault sent it.
func newMoveToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// leave has the old region's relay hand out its file, and changes the region.
func (m *move) leave(ctx context.Context) error {
	public, err := m.there.PrepareArrival(ctx)
	if err != nil {
		return fmt.Errorf("making the key of the sealed file in region %s: %w", m.to, err)
	}
	token := newMoveToken()
	if err := m.here.AllowDeparture(ctx, token, public); err != nil {
		return fmt.Errorf("allowing the move in region %s: %w", m.from.Name, err)
	}
	m.sayf("The relay is stopped, and hands over its store.")
	var digest [32]byte
	size := int64(0)
	err = m.ask(ctx, m.from.Name, func(ctx context.Context, pod *http.Client) error {
		response, err := call(ctx, pod, http.MethodGet, token, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return said(response)
		}
		digest, size, err = m.keep(response.Body)
		return err
	})
	if err != nil {
		return err
	}
	m.sayf("Wrote %s, %d bytes that only the Vault of region %s can open.", m.file, size, m.to)
	if err := m.there.AllowArrival(ctx, vault.Arrival{Token: newMoveToken(), Digest: digest}); err != nil {
		return fmt.Errorf("announcing the file in region %s: %w", m.to, err)
	}
	return m.change(ctx, func(s *v1alpha1.BusinessRelaySpec) {
		s.DataRegion = s.Moving.To
		s.Moves++
	})
}

// keep writes what it reads into the file, whole or not at all.
func (m *move) keep(from io.Reader) (digest [32]byte, size int64, err error) {
	part := m.file + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return digest, 0, &lastingError{fmt.Errorf("writing the sealed file: %w", err)}
	}
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), from)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return digest, 0, errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, m.file); err != nil {
		return digest, 0, &lastingError{fmt.Errorf("writing the sealed file: %w", err)}
	}
	copy(digest[:], sum.Sum(nil))
	return digest, size, nil
}

// bring has the new region's relay take the file in, unless it has it.
func (m *move) bring(ctx context.Context) error {
	announced, err := m.there.Arrival(ctx)
	if err != nil {
		return fmt.Errorf("reading which file was announced in region %s: %w", m.to, err)
	}
	return m.ask(ctx, m.to, func(ctx context.Context, pod *http.Client) error {
		response, err := call(ctx, pod, http.MethodGet, announced.Token, nil)
		if err != nil {
			return err
		}
		reply := said(response)
		if response.StatusCode == http.StatusOK {
			return nil
		}
		if response.StatusCode != http.StatusNotFound || !strings.Contains(reply.Error(), "waits for its file") {
			return reply // the former pod, or one that is starting
		}
		return m.send(ctx, pod, announced)
	})
}

// send sends the file.
func (m *move) send(ctx context.Context, pod *http.Client, announced vault.Arrival) error {
	f, err := os.Open(m.file)
	if err != nil {
		return &lastingError{fmt.Errorf("the sealed file is not here: %w; run the command where it is, or say where with --file", err)}
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return &lastingError{fmt.Errorf("reading the sealed file: %w", err)}
	}
	if [32]byte(sum.Sum(nil)) != announced.Digest {
		return &lastingError{fmt.Errorf("%s is not the file that the relay handed out: run the command with --back, then again", m.file)}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	response, err := call(ctx, pod, http.MethodPut, announced.Token, f)
	if err != nil {
		return err
	}
	reply := said(response)
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return reply
}

// lastingError is one that asking again does not help against.
type lastingError struct{ error }

func (e *lastingError) Unwrap() error { return e.error }

// call makes a request at the status port of a relay's pod.
func call(ctx context.Context, pod *http.Client, method, token string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://relay"+contract.MovePath, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return pod.Do(request)
}

// said reads what a relay said. It closes the answer.
func said(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxReply)) // what was read says what it can
	_ = response.Body.Close()
	return fmt.Errorf("the relay says: %s (%d)", strings.TrimSpace(string(text)), response.StatusCode)
}

// ask asks the relay's pod in a region until it did what was asked. Pods come and go meanwhile.
func (m *move) ask(ctx context.Context, region string, do func(context.Context, *http.Client) error) error {
	last := errors.New("its pod has not started")
	err := m.wait(ctx, func(ctx context.Context) (bool, error) {
		in, err := m.podRegion(ctx)
		if err == nil && in != region {
			return false, nil // not there, or the former one, which is ending
		}
		if err == nil {
			err = m.throughPod(ctx, do)
		}
		var lasting *lastingError
		if errors.As(err, &lasting) || apierrors.IsForbidden(err) {
			return false, err
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("the relay in region %s did not hand over its store within %s: %w", region, m.timeout, last)
	}
	return err
}

// throughPod calls do with a client that reaches the status port of the relay's pod through the API server.
func (m *move) throughPod(ctx context.Context, do func(context.Context, *http.Client) error) error {
	config, err := m.cluster.config()
	if err != nil {
		return err
	}
	return atStatusPort(ctx, config, m.namespace, m.podName(), m.timeout, do)
}

func (m *move) podName() string { return v1alpha1.TenantName(m.name) + "-0" }

// podRegion says in which region the relay's pod runs; empty if none does.
func (m *move) podRegion(ctx context.Context) (string, error) {
	var pod corev1.Pod
	err := m.k.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: m.podName()}, &pod)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", explain(err, "pod "+m.podName(), "")
	case pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning:
		return "", nil
	}
	return pod.Labels[v1alpha1.LabelRegion], nil
}

// awaitPodIn waits until no pod of the relay is in another region: one could make keys again there.
func (m *move) awaitPodIn(ctx context.Context, region string) error {
	err := m.wait(ctx, func(ctx context.Context) (bool, error) {
		var pod corev1.Pod
		err := m.k.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: m.podName()}, &pod)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, explain(err, "pod "+m.podName(), "")
		}
		return pod.Labels[v1alpha1.LabelRegion] == region, nil
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("pod %s of region %s does not end after %s: see kubectl describe pod %s -n %s", m.podName(), m.to, m.timeout, m.podName(), m.namespace)
	}
	return err
}
