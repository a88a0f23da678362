package link_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/customers"
)

// crowdVariable makes the test binary a crowd of customers: its value says where.
const crowdVariable = "RELAYKEEP_TEST_CROWD"

// crowdNumber is a customer's number.
func crowdNumber(i int) string { return fmt.Sprintf("+1555018%04d", i) }

// place is where the crowd's process finds the carrier.
type place struct {
	Domain, Addr string
	CA           []byte
}

func where(at customers.Carrier) (p place) {
	p.Domain, p.Addr, p.CA = at.Where()
	return p
}

// crowd is customers in a process of their own, so that what they use of the
// processors is not the relay's.
type crowd struct {
	in  io.Writer
	out *bufio.Scanner
}

func startCrowd(t testing.TB, at customers.Carrier) *crowd {
	t.Helper()
	text, err := json.Marshal(where(at))
	check(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	c := &crowd{in: in, out: bufio.NewScanner(out)}
	c.await(t) // all are online
	return c
}

// write has the customers write n texts, at most limit a second, and returns when they
// are delivered.
func (c *crowd) write(t testing.TB, n int, limit rate.Limit) {
	_, err := fmt.Fprintln(c.in, n, float64(limit))
	if err != nil {
		t.Error(err)
	}
	c.await(t)
}

func (c *crowd) await(t testing.TB) {
	if !c.out.Scan() || c.out.Text() != "done" {
		t.Errorf("the customers' process ended, or said %q", c.out.Text())
	}
}

// beCrowd is the customers' process, until its standard input ends.
func beCrowd() int {
	var at place
	if err := json.Unmarshal([]byte(os.Getenv(crowdVariable)), &at); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := make([]*writer, crowdSize)
	var joining errgroup.Group
	joining.SetLimit(8)
	for i := range all {
		joining.Go(func() (err error) {
			all[i], err = join(ctx, at, crowdNumber(i))
			return err
		})
	}
	if err := joining.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "done")
	to, _ := phone.Parse(benchNumber)
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		var n int
		var limit float64
		if _, err := fmt.Sscan(orders.Text(), &n, &limit); err != nil {
			return 1
		}
		everybody(ctx, all, to, n, rate.NewLimiter(rate.Limit(limit), 1))
		fmt.Fprintln(os.Stdout, "done")
	}
	return 0
}

// writer is a customer that waits for the receipts of what it wrote.
type writer struct {
	*customer.Customer
	undelivered chan struct{} // has room for as many as may be under way
}

// everybody has each customer write its share of n texts, at the pace of all, and waits
// for the receipts.
func everybody(ctx context.Context, all []*writer, to phone.Number, n int, pace *rate.Limiter) {
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() {
			for range share(n, i) {
				if err := pace.Wait(ctx); err != nil {
					fmt.Fprintln(os.Stderr, "sending:", err)
				}
				c.undelivered <- struct{}{}
				text := fmt.Sprintf("%d and what else people write, which is of about this length", time.Now().UnixNano())
				if _, err := c.Send(ctx, to, text); err != nil {
					fmt.Fprintln(os.Stderr, "sending:", err)
				}
			}
			for range cap(c.undelivered) {
				c.undelivered <- struct{}{}
			}
			for range cap(c.undelivered) {
				<-c.undelivered
			}
		})
	}
	group.Wait()
}

// join makes a customer and waits until it is online.
func join(ctx context.Context, at place, number string) (*writer, error) {
	n, err := phone.Parse(number)
	if err != nil {
		return nil, err
	}
	state, err := customer.NewState(n)
	if err != nil {
		return nil, err
	}
	_, password := state.Account()
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: n, Domain: at.Domain, Address: at.Addr, CABundle: at.CA, Password: password},
		Registration: xmpp.Open,
	})
	if err != nil {
		return nil, err
	}
	online := make(chan struct{})
	var once sync.Once
	undelivered := make(chan struct{}, underWay)
	c := customer.New(customer.Options{State: state, Carrier: link, OnEvent: func(e customer.Event) {
		switch e.Kind {
		case customer.Online:
			once.Do(func() { close(online) })
		case customer.Delivered:
			select {
			case <-undelivered:
			default: // nobody waits for it
			}
		default:
		}
	}})
	go func() { _ = c.Run(ctx) }()
	select {
	case <-online:
		return &writer{c, undelivered}, nil
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("a customer does not come online")
	}
}
