package desktop

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

var errNoDesktop = errors.New("there is no desktop")

//go:embed look.py
var lookScript string

// Element is a part of a window.
type Element struct {
	ID      int // in its look
	Parent  int // the ID of the element around it, -1 for none
	Role    string
	Name    string
	About   string // its description, often shown as a tooltip
	Text    string
	Actions []string
	Box     image.Rectangle
	Checked bool
	Enabled bool // the user can use it
	Focused bool
	Showing bool
}

// Can tells whether the element offers an action.
func (e Element) Can(action string) bool { return slices.Contains(e.Actions, action) }

// Says tells whether the element's name, description or text contains some words.
func (e Element) Says(words string) bool {
	return strings.Contains(e.Name, words) || strings.Contains(e.Text, words) || strings.Contains(e.About, words)
}

// Screen is what the windows show at one time, in their own order.
type Screen []Element

// Find returns the last element that fits.
func (s Screen) Find(fits func(Element) bool) (Element, bool) {
	for _, e := range slices.Backward(s) {
		if fits(e) {
			return e, true
		}
	}
	return Element{}, false
}

// Has tells whether an element fits.
func (s Screen) Has(fits func(Element) bool) bool { return slices.ContainsFunc(s, fits) }

// String lists what can be read, for a failed test's log.
func (s Screen) String() string {
	var b strings.Builder
	for _, e := range s {
		if e.Name != "" || e.Text != "" || e.About != "" {
			fmt.Fprintf(&b, "%s %q %q %q %v\n", e.Role, e.Name, e.Text, e.About, e.Box)
		}
	}
	return b.String()
}

// eyes is the process that reads the screen.
type eyes struct {
	cmd *exec.Cmd
	to  io.WriteCloser

	mu   sync.Mutex // guards from
	from *bufio.Reader
}

func openEyes(env []string, user *syscall.SysProcAttr) (*eyes, error) {
	cmd := exec.Command("/usr/bin/python3", "-c", lookScript) //nolint:noctx // ended by close
	cmd.Env, cmd.SysProcAttr = env, user
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting python3: %w", err)
	}
	return &eyes{cmd: cmd, to: to, from: bufio.NewReader(from)}, nil
}

func (e *eyes) close() {
	_ = e.to.Close()
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

type request struct {
	Do     string `json:"do"`
	From   string `json:"from,omitempty"`
	ID     int    `json:"id"`
	Action string `json:"action,omitempty"`
	At     int    `json:"at"`
}

type reply struct {
	Elements []struct {
		Element
		Box [4]int
	}
	Done  bool
	Place [4]int
	Error string
}

func (e *eyes) ask(r request) (answer reply, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	line, err := json.Marshal(r)
	if err == nil {
		_, err = e.to.Write(append(line, '\n'))
	}
	if err != nil {
		return answer, fmt.Errorf("asking for the screen: %w", err)
	}
	if line, err = e.from.ReadBytes('\n'); err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err != nil {
		return answer, fmt.Errorf("reading the screen needs python3-gi and gir1.2-atspi-2.0: %w", err)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// Look returns what the windows show now.
func (s *Session) Look() (Screen, error) {
	if s == nil || s.eyes == nil {
		return nil, errNoDesktop
	}
	from := "screen"
	if s.o.Windowed {
		from = "window"
	}
	answer, err := s.eyes.ask(request{Do: "look", From: from})
	if err != nil {
		return nil, err
	}
	var screen Screen
	for i, found := range answer.Elements {
		e := found.Element
		e.ID, e.Box = i, rectangle(found.Box)
		if !e.Box.Empty() && (e.Showing || s.o.Windowed) {
			screen = append(screen, e)
		}
	}
	return screen, nil
}

func rectangle(box [4]int) image.Rectangle {
	return image.Rect(box[0], box[1], box[0]+box[2], box[1]+box[3])
}

// Until looks until done says so.
func (s *Session) Until(ctx context.Context, what string, done func(Screen) bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		screen, err := s.Look()
		if err != nil {
			return err
		}
		if done(screen) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return errors.New("the program ended")
		case <-ctx.Done():
			return errors.New("not shown: " + what)
		}
	}
}

// Wait waits for an element.
func (s *Session) Wait(ctx context.Context, what string, fits func(Element) bool) (e Element, err error) {
	err = s.Until(ctx, what, func(screen Screen) (found bool) {
		e, found = screen.Find(fits)
		return found
	})
	return e, err
}

// Press waits for an element that fits and offers an action, and takes that.
func (s *Session) Press(ctx context.Context, what, action string, fits func(Element) bool) error {
	e, err := s.Wait(ctx, what, func(e Element) bool { return e.Can(action) && fits(e) })
	if err != nil {
		return err
	}
	answer, err := s.eyes.ask(request{Do: "press", ID: e.ID, Action: action})
	if err == nil && !answer.Done {
		err = errors.New("cannot be pressed: " + what)
	}
	return err
}
