// Command provisioner makes a directory of the machine into a persistent volume for each claim, on the node that the scheduler chose.
// It runs on the machine that all nodes share, so it makes and removes the directories itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		os.Exit(1)
	}
}

// run provisions until ctx ends.
func run(ctx context.Context) error {
	d := directories{}
	kubeconfig := flag.String("kubeconfig", "", "the file that says where the API server is")
	name := flag.String("name", "", "what storage classes call this provisioner")
	flag.Func("volumes", "NODE=DIRECTORY, where the volumes of a node are; once for each node", func(arg string) error {
		node, dir, ok := strings.Cut(arg, "=")
		if !ok || node == "" || !filepath.IsAbs(dir) {
			return errors.New("want NODE=DIRECTORY, with an absolute path")
		}
		d[node] = filepath.Clean(dir)
		return nil
	})
	flag.Parse()
	where, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(where)
	if err != nil {
		return err
	}
	controller.NewProvisionController(ctx, client, *name, d, controller.LeaderElection(false)).Run(ctx)
	return nil
}

// directories are where volumes are made, by the node's name.
type directories map[string]string

// Provision makes a directory for the claim. A local volume honours the pod's file system group, a host path does not.
func (d directories) Provision(_ context.Context, o controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	dir, ok := d[o.SelectedNodeName]
	if !ok {
		return nil, controller.ProvisioningFinished, fmt.Errorf("node %q has no directory for volumes", o.SelectedNodeName)
	}
	for _, mode := range o.PVC.Spec.AccessModes {
		if mode != core.ReadWriteOnce && mode != core.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s is not supported: a volume is on one node", mode)
		}
	}
	path := filepath.Join(dir, o.PVName)
	// Pods of any user may write. Chmod, because the umask applies to Mkdir.
	if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, 0o777)); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("making the volume: %w", err)
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: o.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: o.PVC.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{
					Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{o.SelectedNodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes a volume's directory, and nothing that is not one of ours.
func (d directories) Delete(_ context.Context, volume *core.PersistentVolume) error {
	if volume.Spec.Local == nil {
		return &controller.IgnoredError{Reason: "it is not a local volume"}
	}
	path := volume.Spec.Local.Path
	for _, dir := range d {
		if filepath.Dir(path) == dir && filepath.Base(path) == volume.Name {
			return os.RemoveAll(path)
		}
	}
	return &controller.IgnoredError{Reason: "its directory is not one of this provisioner's"}
}
