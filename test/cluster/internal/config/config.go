// Package config renders what the cluster's components read: configuration files, firewall rules and the objects that a fresh
// cluster needs. It is pure: parameters in, text out.
package config

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// Params are all that configuration depends on.
type Params struct {
	// PKI is the directory of certificates, Logs that of log files.
	PKI, Logs string
	// CNIPlugins is the directory of the network plugins.
	CNIPlugins string
	// NetworkName is what the network plugins know the pods' network by.
	NetworkName string
	// ResolvConf is the file that says where the machine looks names up.
	ResolvConf string
	// Forward tells whether names outside the cluster can be looked up from a pod at all.
	Forward bool
	// Snapshotter is containerd's.
	Snapshotter string
	// PodRange, NodeRange and ServiceRange are the cluster's addresses.
	PodRange, NodeRange, ServiceRange string
	// DNSAddress is the cluster's name server's, HostAddress this machine's, as pods reach it.
	DNSAddress, HostAddress string
	// HostZone is the domain whose names all mean HostAddress.
	HostZone string
	// Images by what is in them.
	PauseImage, CoreDNSImage, ToolsImage string
	// Nodes are all nodes.
	Nodes []Node
}

// Node is what is particular to a node.
type Node struct {
	// Name is the node's, Region its topology.kubernetes.io/region, Zone its zone, Label its region as Relaykeep calls it.
	Name, Region, Zone, Label string
	// Address is the node's, PodRange that of its pods.
	Address, PodRange string
	// Data, Run and Config are its directories: what survives a reboot, what does not, and configuration.
	Data, Run, Config string
	// Socket is containerd's.
	Socket string
	// Cgroup is the group that its pods are in.
	Cgroup string
}

// Volumes is the directory of the node's persistent volumes.
func (n Node) Volumes() string { return filepath.Join(n.Data, "volumes") }

// Provisioner is what storage classes call the provisioner.
const Provisioner = "cluster.relaykeep.test/directory"

// Provisioner is the constant, for templates.
func (Params) Provisioner() string { return Provisioner }

//go:embed templates/* manifests/*
var files embed.FS

// perNode are a node's files below Node.Config, by template.
var perNode = map[string]string{
	"containerd.toml": "containerd.toml",
	"cni.conflist":    "cni/10-relaykeep.conflist",
	"kubelet.yaml":    "kubelet.yaml",
	"kube-proxy.yaml": "kube-proxy.yaml",
}

// NodeFiles returns node n's configuration files by their path below its configuration directory.
func NodeFiles(p Params, n Node) (map[string][]byte, error) {
	rendered := make(map[string][]byte, len(perNode))
	for name, path := range perNode {
		content, err := render("templates/"+name, struct {
			Params
			Node Node
		}{p, n})
		if err != nil {
			return nil, err
		}
		rendered[path] = content
	}
	return rendered, nil
}

// Firewall returns the nftables script that sets up address translation. Run again, it replaces what it made.
func Firewall(p Params) ([]byte, error) { return render("templates/nftables.nft", p) }

// Object is one object of the API and where it is applied.
type Object struct {
	// Path is the object's in the API.
	Path string
	// Body is the object, as YAML.
	Body []byte
}

// Access returns what the components themselves need to be allowed.
func Access(p Params) ([]Object, error) { return objects("manifests/access.yaml", p) }

// Storage returns what the provisioner needs to be allowed, and the storage classes.
func Storage(p Params) ([]Object, error) { return objects("manifests/storage.yaml", p) }

// DNS returns the cluster's name server.
func DNS(p Params) ([]Object, error) { return objects("manifests/dns.yaml", p) }

func objects(name string, p Params) ([]Object, error) {
	content, err := render(name, p)
	if err != nil {
		return nil, err
	}
	return split(name, string(content))
}

// split takes a manifest apart. Each object starts with a comment that says where it is applied, so nothing here needs to know how a
// kind's name becomes a path.
func split(name, manifest string) ([]Object, error) {
	var all []Object
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		first, _, _ := strings.Cut(document, "\n")
		path, ok := strings.CutPrefix(first, "# PATCH ")
		if !ok {
			return nil, fmt.Errorf("%s: an object does not start with its path", name)
		}
		all = append(all, Object{Path: path, Body: []byte(document)})
	}
	return all, nil
}

func render(name string, data any) ([]byte, error) {
	t, err := template.New("").Option("missingkey=error").ParseFS(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading the template %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name[strings.LastIndexByte(name, '/')+1:], data); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return b.Bytes(), nil
}
