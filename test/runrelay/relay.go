package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// relayCommand makes this program the relay: relay DIR LEVEL.
const relayCommand = "relay"

// version is what the relay reports.
const version = "dev"

// Files below the relay's folder.
const (
	configFile = "relay.json"
	tokenFile  = "token"
	dataDir    = "data"
)

// addressFile is where the relay writes what it listens on, "endpoint" or "status".
func addressFile(dir, name string) string { return filepath.Join(dir, name+".address") }

// runRelay is the relay's process until ctx ends.
func runRelay(ctx context.Context, dir, logLevel string) error {
	raw, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var c contract.Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(logLevel)); err != nil {
		return fmt.Errorf("-log-level: %q is not debug, info, warn or error", logLevel)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	return serve.Run(ctx, serve.Options{
		ConfigPath: filepath.Join(dir, configFile), Arguments: config.Arguments{Vault: c.Vault, Carrier: c.Carrier},
		Version: version, Log: log,
		DataDir: filepath.Join(dir, dataDir), TokenPath: filepath.Join(dir, tokenFile),
		EndpointAddr: "127.0.0.1:0", StatusAddr: "127.0.0.1:0",
		Listening: func(name string, addr net.Addr) {
			if err := writeWhole(addressFile(dir, name), []byte(addr.String())); err != nil {
				log.Error("the address cannot be told", slog.Any("error", err))
			}
		},
		// A business's links may lead to this machine's own servers.
		AllowLinks: netip.Addr.IsLoopback,
	})
}

// writeWhole writes a file so that a reader finds all of it or none.
func writeWhole(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
