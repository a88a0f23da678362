package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Restart kills the API server, as a crash would, calls down while it is away, and starts it again at its address. Its etcd
// goes on. Asked to stop, it would wait for its clients' watches first.
func (s *Server) Restart(down func()) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the API server: %w", err)
	}
	a := s.env.ControlPlane.GetAPIServer()
	if err := a.Stop(); err != nil {
		return fmt.Errorf("waiting for the API server's end: %w", err)
	}
	down()
	if err := a.Start(); err != nil {
		return fmt.Errorf("starting the API server again: %w", err)
	}
	return nil
}

// pid finds the API server's process by its folder, which no other has among its arguments: envtest does not tell.
func (s *Server) pid() (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, fmt.Errorf("looking for the API server: %w", err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte("\x00--cert-dir="+s.dir+"\x00")) {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, errors.New("the API server does not run")
}
