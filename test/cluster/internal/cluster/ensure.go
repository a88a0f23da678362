package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/pki"
	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

// What a step reports.
const (
	there = "there already"
	made  = "made"
)

func done(changed bool) string {
	if changed {
		return made
	}
	return there
}

func (u *up) ensureCgroups(context.Context) (string, error) { return "ready", u.cgroups.Ensure() }

func (u *up) ensureNetwork(ctx context.Context) (string, error) {
	if err := host.Forward(); err != nil {
		return "", fmt.Errorf("letting this machine forward: %w", err)
	}
	changed, err := u.network().Ensure(ctx)
	if err != nil {
		return "", err
	}
	rules, err := config.Firewall(u.params)
	if err != nil {
		return "", err
	}
	return done(changed), host.ApplyRules(ctx, rules)
}

func (u *up) ensureArchives(ctx context.Context) (string, error) {
	images, err := u.clusterImages(ctx)
	if err != nil {
		return "", err
	}
	u.archives, err = archives(u.images(), images)
	return fmt.Sprintf("%d written", len(u.archives)), err
}

func (u *up) ensureEtcd(ctx context.Context) (string, error) {
	return u.running(ctx, u.etcdServer(), func(ctx context.Context) error {
		var d net.Dialer
		connection, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(etcdURL, "https://"))
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

func (u *up) ensureAPIServer(ctx context.Context) (string, error) {
	return u.running(ctx, u.apiServer(), u.api.Ready)
}

func (u *up) ensureControllerManager(ctx context.Context) (string, error) {
	return u.running(ctx, u.controllerManager(), healthy("https://127.0.0.1:10257/healthz"))
}

func (u *up) ensureScheduler(ctx context.Context) (string, error) {
	return u.running(ctx, u.scheduler(), healthy("https://127.0.0.1:10259/healthz"))
}

// ensureProvisioner only sees that it stays: it answers nobody.
func (u *up) ensureProvisioner(ctx context.Context) (string, error) {
	return u.running(ctx, u.provisioner(), func(context.Context) error { return nil })
}

// healthy asks a component on this machine how it is. Nothing secret is sent and only the status matters, so the certificate, which
// the component made for itself, is not looked at.
func healthy(url string) func(context.Context) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	}
}

// pollEvery is how often a condition is looked at that is being waited for, restarts how often a component that ends by itself is
// started again before that is an error, patience how long one that ran already has to show that it is well.
const (
	pollEvery = 200 * time.Millisecond
	restarts  = 3
	patience  = 20 * time.Second
)

// running starts the component if needed and waits until it is ready. One that ran already and does not answer is restarted.
func (u *up) running(ctx context.Context, c process.Command, ready func(context.Context) error) (string, error) {
	started, err := u.table().Ensure(ctx, c)
	if err != nil {
		return "", err
	}
	if !started {
		patient, cancel := context.WithTimeout(ctx, patience)
		err := u.await(patient, c, ready)
		cancel()
		if err == nil || ctx.Err() != nil {
			return "runs already", err
		}
		if err := u.table().Stop(ctx, c.Name, grace(c.Name)); err != nil {
			return "", err
		}
	}
	return "started", u.await(ctx, c, ready)
}

// await waits until the component is ready, and starts it again a few times when it ends meanwhile.
func (u *up) await(ctx context.Context, c process.Command, ready func(context.Context) error) error {
	for attempts := 0; ; {
		if _, alive := u.table().Alive(c.Name); !alive {
			if attempts++; attempts > restarts {
				return fmt.Errorf("it ends by itself; the last lines of %s:\n%s", c.Log, lastLines(c.Log))
			}
			if _, err := u.table().Ensure(ctx, c); err != nil {
				return err
			}
		}
		failure := ready(ctx)
		if failure == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w; see %s", ctx.Err(), failure, c.Log)
		case <-time.After(pollEvery):
		}
	}
}

// lastLines are the end of a log, for the report of a failure.
func lastLines(path string) string {
	const enough = 4096
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > enough {
		if _, err := f.Seek(-enough, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	content, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

func (u *up) ensureKubeconfig(context.Context) (string, error) {
	content, err := os.ReadFile((&pki.Store{Dir: u.pki()}).Path("admin.kubeconfig"))
	if err != nil {
		return "", err
	}
	changed, err := writeChanged(u.kubeconfig(), content, 0o600)
	return done(changed), err
}

func (u *up) ensureObjects(render func(config.Params) ([]config.Object, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		objects, err := render(u.params)
		if err != nil {
			return "", err
		}
		for _, o := range objects {
			if err := u.api.Apply(ctx, o.Path, o.Body); err != nil {
				return "", err
			}
		}
		return "applied", nil
	}
}

func (u *up) ensureContainerd(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := u.writeNodeFiles(n); err != nil {
			return "", err
		}
		return u.running(ctx, u.containerd(n, u.containerdProgram), func(ctx context.Context) error {
			_, err := ctr(ctx, n, "version")
			return err
		})
	}
}

func (u *up) ensureImages(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		imported, err := importMissing(ctx, n, u.archives)
		return fmt.Sprintf("%d imported", imported), err
	}
}
