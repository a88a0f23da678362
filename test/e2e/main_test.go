//go:build e2e

// Package e2e holds the product, on the real two-node cluster, to what it claims.
// It uses the lab's environment, leaves one that was up already as it is, and ends
// one that it brought up itself, unless E2E_KEEP=1.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
)

// keep, set to 1, leaves the environment running.
const keep = "E2E_KEEP"

// patience with anything that has to come about on the cluster.
const patience = 2 * time.Minute

// environment is what all tests share: it takes minutes to make.
var environment *lab.Lab

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := lab.New(report.New(os.Stdout))
	if err != nil {
		return 0, err
	}
	if leave := l.Running() || os.Getenv(keep) == "1"; !leave {
		defer func() {
			if ended := l.Down(context.WithoutCancel(ctx)); err == nil {
				err = ended
			}
		}()
	}
	if err := l.Up(ctx); err != nil {
		return 0, err
	}
	environment = l
	return m.Run(), nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within returns a context that ends with the patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// kubectl runs kubectl and wants it to succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := environment.Kubectl(within(t), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// instance tells one run of a pod's container from another: a restart changes it.
type instance struct {
	pod      types.UID
	restarts int32
}

func relayInstance(t *testing.T, b *lab.Business) instance {
	t.Helper()
	pod, err := environment.RelayPod(within(t), b)
	check(t, err)
	return instanceOf(pod)
}

func instanceOf(pod *corev1.Pod) instance {
	i := instance{pod: pod.UID}
	for _, c := range pod.Status.ContainerStatuses {
		i.restarts += c.RestartCount
	}
	return i
}

// contains wants each of the words in the text.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}
