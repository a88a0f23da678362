package dataplane_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/usage"
)

// memoryLimit is the memory that a pod of a relay may have, unless its business asks for another: 256 MiB.
const memoryLimit = 256 << 20

// TestEndpoint_HangingConnectionsLeaveMemoryBounded has thousands of clients hang, as far as the endpoint lets them:
// before TLS, within a request's headers, within the body of a request of the business, and at the answer.
func TestEndpoint_HangingConnectionsLeaveMemoryBounded(t *testing.T) {
	const clients = 5000
	b := newBusiness(t)
	b.StartProcess()
	b.WaitWell()
	b.WaitReady()
	b.TakeCredentials()
	before := resident(t, b.PID())
	conns := make(chan net.Conn, clients)
	places := make(chan struct{}, 64)
	var group sync.WaitGroup
	path := rig.Version + "/" + b.NumberID + "/messages"
	head := "POST " + path + " HTTP/1.1\r\nHost: " + b.Config.Endpoint.Host + "\r\nContent-Type: application/json\r\n"
	most := before
	for i := range clients {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(t.Context(), "tcp", b.Endpoint())
			if err != nil {
				return // refused, as it may be
			}
			conns <- conn
			if i%4 == 0 {
				return // says nothing
			}
			transport, _ := b.Client.Transport.(*http.Transport)
			config := transport.TLSClientConfig.Clone()
			config.NextProtos = []string{"http/1.1"}
			c := tls.Client(conn, config)
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			if c.HandshakeContext(t.Context()) != nil {
				return
			}
			switch i % 4 {
			case 1: // half of the headers
				_, _ = io.WriteString(c, head[:len(head)/2])
			case 2: // half of a body
				_, _ = fmt.Fprintf(c, "%sAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", head, b.Token, 60<<10, strings.Repeat(" ", 30<<10))
			case 3: // a request after the other, without a token, and no answer is read
				_, _ = io.WriteString(c, strings.Repeat(head+"Content-Length: 0\r\n\r\n", 20))
			}
		})
		if i%250 == 0 {
			most = max(most, resident(t, b.PID()))
		}
	}
	group.Wait()
	most = max(most, resident(t, b.PID()))
	t.Logf("%d MB before, at most %d MB with %d connections", before>>20, most>>20, len(conns))
	if most > memoryLimit*3/4 {
		t.Errorf("the relay had %d MB, and its pod may have %d", most>>20, memoryLimit>>20)
	}
	close(conns)
	b.Client.CloseIdleConnections()
	await.Until(t, "the endpoint answers the business while they hang", func() bool {
		status, _, err := b.Try(b.Token, http.MethodGet, rig.Version+"/"+b.NumberID, "", nil)
		return err == nil && status == http.StatusOK
	})
	for c := range conns {
		_ = c.Close()
	}
	p := newPerson(t)
	p.Says(b, "after the flood")
	b.WaitText("after the flood")
	b.WaitStatus(b.Say(p.Number.E164(), "all is well"), "read")
}

// resident returns how many bytes of memory a process has.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	bytes, err := usage.Resident(pid)
	check(t, err)
	return bytes
}
