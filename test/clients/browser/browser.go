// Package browser runs a headless Chromium and drives one page of it by the DevTools
// protocol: it reads what the page shows, and types and clicks as a user does. It must
// not know what the page is.
package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrMissing means that Chromium is not installed.
var ErrMissing = errors.New("chromium is not installed: make clients installs it")

// Options say how the browser runs.
type Options struct {
	Dir string // holds the profile and the browser's own log
	// Names are host names that lead to this machine's loopback address, whose
	// certificates the browser does not check.
	Names []string
	// Width and Height are those of the window, in pixels.
	Width, Height int
}

// Page is the browser's one page. Its methods may be called on any goroutine.
type Page struct {
	cmd     *exec.Cmd
	to      *os.File
	exited  chan struct{}
	session string

	mu      sync.Mutex // guards the following fields
	next    int
	waiting map[int]chan answer
	console []string
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Open starts a browser with an empty page. Close it when done.
func Open(ctx context.Context, o Options) (*Page, error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, ErrMissing
	}
	rules := "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1" // nothing leaves this machine
	for _, name := range o.Names {
		rules = "MAP " + name + " 127.0.0.1 , " + rules
	}
	// With a pipe the browser opens no port; it reads from file 3 and writes to file 4.
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", //nolint:noctx // ended by Close
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--remote-debugging-pipe", "--user-data-dir="+filepath.Join(o.Dir, "profile"), "--host-resolver-rules="+rules,
		fmt.Sprintf("--window-size=%d,%d", o.Width, o.Height), "--lang=en", "about:blank")
	theirs, ours, err := pipes(cmd)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.Dir, "chromium.log"))
	if err != nil {
		return nil, fmt.Errorf("making the browser's log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+o.Dir, "LANG=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting chromium: %w", err)
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	p := &Page{cmd: cmd, to: ours[0], exited: make(chan struct{}), waiting: map[int]chan answer{}}
	go p.read(ours[1])
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	if err := p.attach(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// pipes gives the command files 3 and 4, and returns its ends and ours.
func pipes(cmd *exec.Cmd) (theirs, ours []*os.File, err error) {
	in, to, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	from, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.ExtraFiles = []*os.File{in, out}
	return []*os.File{in, out}, []*os.File{to, from}, nil
}

// attach opens a session with the page.
func (p *Page) attach(ctx context.Context) error {
	var found struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	deadline := time.NewTicker(50 * time.Millisecond)
	defer deadline.Stop()
	for {
		if err := p.Call(ctx, "Target.getTargets", nil, &found); err != nil {
			return err
		}
		for _, t := range found.TargetInfos {
			if t.Type != "page" {
				continue
			}
			var s struct{ SessionID string }
			err := p.Call(ctx, "Target.attachToTarget", map[string]any{"targetId": t.TargetID, "flatten": true}, &s)
			if err != nil {
				return err
			}
			p.session = s.SessionID
			return errors.Join(p.Call(ctx, "Page.enable", nil, nil), p.Call(ctx, "Runtime.enable", nil, nil), p.Call(ctx, "DOM.enable", nil, nil))
		}
		select {
		case <-deadline.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Call calls a method of the DevTools protocol and decodes its result, unless that is nil.
func (p *Page) Call(ctx context.Context, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	p.mu.Lock()
	p.next++
	id, back := p.next, make(chan answer, 1)
	p.waiting[id] = back
	message := map[string]any{"id": id, "method": method, "params": params}
	if p.session != "" {
		message["sessionId"] = p.session
	}
	raw, err := json.Marshal(message)
	if err == nil {
		_, err = p.to.Write(append(raw, 0))
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("calling %s: %w", method, err)
	}
	select {
	case a := <-back:
		if a.Error != nil {
			return fmt.Errorf("calling %s: %s", method, a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-p.exited:
		return fmt.Errorf("calling %s: the browser ended", method)
	case <-ctx.Done():
		return fmt.Errorf("calling %s: %w", method, ctx.Err())
	}
}

// read hands each answer to its call, until the browser ends.
func (p *Page) read(from *os.File) {
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		raw, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			answer
		}
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		p.mu.Lock()
		if back := p.waiting[m.ID]; back != nil {
			delete(p.waiting, m.ID)
			back <- m.answer
		}
		if m.Method == "Runtime.consoleAPICalled" || m.Method == "Runtime.exceptionThrown" {
			p.console = append(p.console, string(m.Params))
		}
		p.mu.Unlock()
	}
}

// Console returns what the page wrote to its console.
func (p *Page) Console() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.console...)
}

// Navigate opens an address.
func (p *Page) Navigate(ctx context.Context, url string) error {
	return p.Call(ctx, "Page.navigate", map[string]any{"url": url}, nil)
}

// Eval evaluates an expression in the page, waits for it if it is a promise, and decodes
// its value. The arguments of a function are passed as JSON: Eval(ctx, &n, "a=>a+1", 1).
func (p *Page) Eval(ctx context.Context, result any, function string, args ...any) error {
	raw, err := json.Marshal(append([]any{}, args...)) // an empty list, not null
	if err != nil {
		return err
	}
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	expression := "(" + function + ")(..." + string(raw) + ")"
	err = p.Call(ctx, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if err != nil {
		return err
	}
	if e := out.ExceptionDetails; e != nil {
		return fmt.Errorf("the page throws %s %s", e.Text, e.Exception.Description)
	}
	if result == nil || out.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(out.Result.Value, result)
}

// Until waits until a function of the page returns something that JavaScript takes as
// true.
func (p *Page) Until(ctx context.Context, what, function string, args ...any) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var holds bool
		err := p.Eval(ctx, &holds, "(...a)=>!!("+function+")(...a)", args...)
		if err == nil && holds {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("waiting for %s: the browser ended", what)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, errors.Join(ctx.Err(), err))
		}
	}
}

// Screenshot returns a PNG of what the page shows.
func (p *Page) Screenshot(ctx context.Context) ([]byte, error) {
	var shot struct{ Data string }
	if err := p.Call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(shot.Data)
}

// Close ends the browser with all of its processes.
func (p *Page) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	p.session = ""
	_ = p.Call(ctx, "Browser.close", nil, nil) // it writes its profile
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	_ = p.to.Close()
}
