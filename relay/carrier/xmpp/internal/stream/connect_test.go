package stream

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// resumedLink is a link that has just resumed a stream.
func resumedLink(t *testing.T) (*Stream, *Link) {
	ours, theirs := net.Pipe()
	s := New()
	s.Begin("resumable")
	l := NewLink(ours, Config{MaxStanza: 1 << 20, Idle: time.Minute})
	s.prove(l)
	s.Attach(l)
	t.Cleanup(func() { l.End(ErrStopped); _ = theirs.Close() })
	return s, l
}

func TestResumedLink_OnWhichTheServerTakesNothingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := resumedLink(t)
		begun := time.Now()
		<-l.Ended()
		if took := time.Since(begun); took != 15*time.Second || !errors.Is(l.Err(), errNotTaken) {
			t.Errorf("it ended after %s: %v", took, l.Err())
		}
		s.Detach()
		if s.id != "" {
			t.Error("the next link resumes the stream again")
		}
	})
}

func TestResumedLink_OnWhichTheServerAcknowledgesStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := resumedLink(t)
		<-time.After(14 * time.Second)
		if err := s.Confirm(l, "0"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		select {
		case <-l.Ended():
			t.Errorf("it ended: %v", l.Err())
		default:
		}
		if s.id != "resumable" {
			t.Error("the stream is resumed no more")
		}
	})
}

// A link that ended otherwise does not keep its stream from being resumed.
func TestResumedLink_ThatBreaksAgainIsResumedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := resumedLink(t)
		l.End(errStreamClosed)
		s.Detach()
		<-time.After(time.Minute)
		if s.id != "resumable" {
			t.Error("the stream is resumed no more")
		}
	})
}

// What stops an attempt to connect may come when the attempt has failed by itself.
func TestConnecting_IsStoppedAsItFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(*testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		l := NewLink(ours, Config{MaxStanza: 1 << 20, Idle: time.Minute})
		l.management = false
		if _, err := New().carried(ctx, l); !errors.Is(err, errNoManagement) {
			t.Errorf("error %v", err)
		}
		synctest.Wait() // for what ends the link from outside
		<-l.Ended()
	})
}
