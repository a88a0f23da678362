package standby_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/standby"
)

// serve answers each line of a listener's connections with the name and the line, until the test ends.
func serve(t *testing.T, l net.Listener, name string) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					fmt.Fprintf(c, "%s: %s\n", name, lines.Text())
				}
				fmt.Fprintf(c, "%s: that was all\n", name)
			}()
		}
	}()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// door is a door that runs until the test ends, and its address.
func door(t *testing.T) (*standby.Door, string) {
	t.Helper()
	l := listen(t)
	return runs(t, l), l.Addr().String()
}

// runs is the door of a listener, which runs until the test ends.
func runs(t *testing.T, l net.Listener) *standby.Door {
	t.Helper()
	d := standby.New(l)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		_ = d.Close()
		<-done
	})
	return d
}

// caller is a client's connection.
type caller struct {
	*testing.T
	*net.TCPConn
	*bufio.Reader
}

func call(t *testing.T, address string) caller {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return caller{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c caller) says(text string) {
	c.Helper()
	if _, err := io.WriteString(c.TCPConn, text+"\n"); err != nil {
		c.Fatal(err)
	}
}

func (c caller) hears(want string) {
	c.Helper()
	got, err := c.ReadString('\n')
	if err != nil || got != want+"\n" {
		c.Fatalf("heard %q, %v, want %q", got, err, want)
	}
}

// ends wants the other end to close the connection.
func (c caller) ends() {
	c.Helper()
	if rest, err := io.ReadAll(c.Reader); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.Errorf("heard %q, %v, want the end", rest, err)
	}
}

// passing is a door that passes connections to a holder of that name, its address, and a client that has been
// answered through it.
func passing(t *testing.T, name string) (d *standby.Door, address string, c caller) {
	t.Helper()
	holder := listen(t)
	serve(t, holder, name)
	d, address = door(t)
	d.PassTo(holder.Addr().String())
	c = call(t, address)
	c.says("one")
	c.hears(name + ": one")
	return d, address, c
}

func TestConnection_IsPassedToTheHolderBothWaysToItsEnd(t *testing.T) {
	_, _, c := passing(t, "holder")
	c.says("two")
	c.hears("holder: two")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.hears("holder: that was all")
	c.ends()
}

func TestConnection_WaitsForAHolder(t *testing.T) {
	d, address := door(t)
	c := call(t, address)
	c.says("is anybody there?")
	gone := listen(t)
	_ = gone.Close()
	d.PassTo(gone.Addr().String())
	holder := listen(t)
	serve(t, holder, "holder")
	d.PassTo(holder.Addr().String())
	c.hears("holder: is anybody there?")
}

func TestConnection_ToAFormerHolderIsCut(t *testing.T) {
	second := listen(t)
	serve(t, second, "second")
	d, address, c := passing(t, "first")
	d.PassTo("") // it is not known who holds the store: the connection may still be good
	c.says("two")
	c.hears("first: two")
	d.PassTo(second.Addr().String())
	c.ends()
	c = call(t, address)
	c.says("three")
	c.hears("second: three")
}

// A client whose requests follow each other is not cut in the middle of one, however long that goes on.
func TestConnection_ToAFormerHolderIsCutBetweenRequests(t *testing.T) {
	t.Parallel()
	d, _, c := passing(t, "former")
	d.Open()
	next := time.NewTicker(20 * time.Millisecond)
	defer next.Stop()
	for begun := time.Now(); time.Since(begun) < 3500*time.Millisecond; <-next.C {
		c.says("more")
		c.hears("former: more")
	}
	c.ends()
}

func TestConnection_ToAStalledFormerHolderIsCut(t *testing.T) {
	t.Parallel()
	d, address := door(t)
	d.PassTo(listen(t).Addr().String()) // takes connections, and answers nothing
	c := call(t, address)
	c.says("one")
	d.Open()
	c.ends()
}

// A former holder that is about to end passes on what it was passed.
func TestConnection_ThroughAFormerHolderReachesTheNext(t *testing.T) {
	former, own := door(t)
	next, address := door(t)
	next.PassTo(own)
	c := call(t, address)
	c.says("one")
	waits := call(t, address)
	next.PassTo("")
	serve(t, next.Open(), "next")
	former.PassTo(address)
	c.hears("next: one")
	waits.says("two")
	waits.hears("next: two")
}

func TestDoor_OpensForItsOwnReplica(t *testing.T) {
	d, address, passed := passing(t, "former")
	d.PassTo("")
	waits := call(t, address)
	waits.says("two")
	own := d.Open()
	serve(t, own, "own")
	passed.ends()
	waits.hears("own: two")
	c := call(t, address)
	c.says("three")
	c.hears("own: three")
	if got := own.Addr().String(); got != address {
		t.Errorf("the listener's address is %s, want %s", got, address)
	}
	_ = own.Close()
	if _, err := own.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

// What comes while a replica ends waits for the next one that holds the store, also after nobody is taken any more.
func TestDoor_PassesOnAgainOnceItsReplicaEnds(t *testing.T) {
	former, next := listen(t), listen(t)
	serve(t, former, "former")
	d, address := door(t)
	d.PassTo(former.Addr().String())
	own := d.Open()
	serve(t, own, "own")
	served := call(t, address)
	served.says("one")
	served.hears("own: one")
	d.Leave()
	served.says("two")
	served.hears("own: two") // it is the server that ends those
	waits := call(t, address)
	waits.says("three")
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- d.Drain(t.Context()) }()
	for { // until the listener is closed
		other, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = other.Close()
	}
	serve(t, next, "next")
	d.PassTo(next.Addr().String())
	waits.hears("next: three")
	waits.ends()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// slow is a listener that accepts nothing before it may. It tells that it is about to be closed, or is asked for what
// waits.
type slow struct {
	*net.TCPListener
	may, asked chan struct{}
	ask        func()
}

func (s slow) Accept() (net.Conn, error) {
	<-s.may
	return s.TCPListener.Accept()
}

func (s slow) SyscallConn() (syscall.RawConn, error) {
	s.ask()
	return s.TCPListener.SyscallConn()
}

func (s slow) Close() error {
	s.ask()
	return s.TCPListener.Close()
}

func TestDraining_TakesWhatHasConnected(t *testing.T) {
	holder := listen(t)
	serve(t, holder, "holder")
	l := slow{TCPListener: listen(t).(*net.TCPListener), may: make(chan struct{}), asked: make(chan struct{})}
	l.ask = sync.OnceFunc(func() { close(l.asked) })
	d := runs(t, l)
	d.PassTo(holder.Addr().String())
	c := call(t, l.Addr().String())
	c.says("one")
	drained := make(chan error, 1)
	go func() { drained <- d.Drain(t.Context()) }()
	<-l.asked
	close(l.may)
	c.hears("holder: one")
	c.ends()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestWaiting_EndsWithTheDoor(t *testing.T) {
	d, address := door(t)
	c := call(t, address)
	c.says("is anybody there?")
	_ = d.Close()
	c.ends()
}

func TestDraining_LetsAnswersEnd(t *testing.T) {
	holder := listen(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	go func() {
		c, err := holder.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		go func() { // of those who only look whether the door is closed
			for {
				other, err := holder.Accept()
				if err != nil {
					return
				}
				_ = other.Close()
			}
		}()
		lines := bufio.NewReader(c)
		_, _ = lines.ReadString('\n')
		fmt.Fprintln(c, "first answer")
		_, _ = lines.ReadString('\n')
		close(asked)
		<-answer
		fmt.Fprintln(c, "second answer")
		_, _ = lines.ReadString('\n')
	}()
	t.Cleanup(func() { _ = holder.Close() })
	d, address := door(t)
	d.PassTo(holder.Addr().String())
	c := call(t, address)
	c.says("first question")
	c.hears("first answer")
	c.says("second question")
	<-asked
	drained := make(chan error, 1)
	go func() { drained <- d.Drain(t.Context()) }()
	for { // until the listener is closed
		other, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = other.Close()
	}
	close(answer)
	c.hears("second answer")
	c.ends()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestDraining_EndsInTime(t *testing.T) {
	holder := listen(t)
	t.Cleanup(func() { _ = holder.Close() })
	d, address := door(t)
	d.PassTo(holder.Addr().String())
	c := call(t, address)
	c.says("a question that nobody answers")
	taken, err := holder.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := d.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("draining ended with %v", err)
	}
}

func TestDoor_CutsTheMostSilentConnectionForAnother(t *testing.T) {
	holder := listen(t)
	serve(t, holder, "holder")
	d, address := door(t)
	d.PassTo(holder.Addr().String())
	var callers []caller
	for range 513 {
		c := call(t, address)
		c.says("hello")
		c.hears("holder: hello")
		callers = append(callers, c)
	}
	callers[0].ends()
	callers[512].says("still there?")
	callers[512].hears("holder: still there?")
	callers[1].says("and me?")
	callers[1].hears("holder: and me?")
}

// late is a listener that has one more connection to give when it is closed, as one that was accepted just then.
type late struct {
	net.Listener
	conns chan net.Conn
	gate  chan struct{}
}

func (l *late) Accept() (net.Conn, error) {
	<-l.gate
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *late) Close() error {
	close(l.gate)
	return nil
}

func TestDraining_WaitsForAConnectionThatWasJustTaken(t *testing.T) {
	holder := listen(t)
	serve(t, holder, "holder")
	ours, theirs := net.Pipe()
	l := &late{Listener: listen(t), conns: make(chan net.Conn, 1), gate: make(chan struct{})}
	l.conns <- theirs
	close(l.conns)
	d := standby.New(l)
	d.PassTo(holder.Addr().String())
	go func() { _ = d.Run(t.Context()) }()
	_ = ours.SetDeadline(time.Now().Add(30 * time.Second))
	heard := make(chan string, 1)
	go func() {
		if _, err := io.WriteString(ours, "one\n"); err != nil {
			heard <- err.Error()
			return
		}
		all, err := io.ReadAll(ours)
		heard <- fmt.Sprint(string(all), err)
	}()
	if err := d.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case got := <-heard:
		if got != "holder: one\n<nil>" {
			t.Errorf("heard %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the connection was left open")
	}
}
