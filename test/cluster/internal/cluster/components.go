package cluster

import (
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

// programs are the paths of what the cluster runs, by name.
type programs map[string]string

// kubernetes is the path of a component of the one Kubernetes program.
func (p programs) kubernetes(component string) string {
	return filepath.Join(filepath.Dir(p["kubernetes"]), component)
}

// components makes the commands of the cluster's processes.
type components struct {
	layout
	programs programs
	// cgroup is the cgroup.procs file of the processes' group.
	cgroup string
}

// command fills in what all commands have in common.
func (c components) command(name, path string, args []string, inputs ...string) process.Command {
	return process.Command{
		Name: name, Path: path, Args: args, Log: c.log(name), Cgroup: c.cgroup, Inputs: inputs,
		// Nothing of the caller's: a proxy setting would send the cluster's own traffic astray.
		Env: []string{"PATH=" + host.Path(), "HOME=" + c.run},
	}
}

func (c components) certificate(file string) string { return filepath.Join(c.pki(), file) }

func (c components) etcdServer() process.Command {
	ca := c.certificate("etcd-ca.crt")
	crt, key := c.certificate("etcd.crt"), c.certificate("etcd.key")
	return c.command("etcd", c.programs["etcd"], []string{
		"--name=relaykeep",
		"--data-dir=" + c.etcd(),
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + etcdPeerURL, "--initial-advertise-peer-urls=" + etcdPeerURL,
		"--initial-cluster=relaykeep=" + etcdPeerURL,
		"--client-cert-auth", "--trusted-ca-file=" + ca, "--cert-file=" + crt, "--key-file=" + key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + ca, "--peer-cert-file=" + crt, "--peer-key-file=" + key,
		// A test cluster may lose its last second to a power cut, and is quicker for it.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}, ca, crt)
}

func (c components) apiServer() process.Command {
	ca := c.certificate("ca.crt")
	return c.command("kube-apiserver", c.programs.kubernetes("kube-apiserver"), []string{
		"--etcd-servers=" + etcdURL,
		"--etcd-cafile=" + c.certificate("etcd-ca.crt"),
		"--etcd-certfile=" + c.certificate("etcd-client.crt"), "--etcd-keyfile=" + c.certificate("etcd-client.key"),
		"--advertise-address=" + hostAddress, "--secure-port=" + apiPort,
		"--tls-cert-file=" + c.certificate("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.certificate("kube-apiserver.key"),
		"--client-ca-file=" + ca,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--service-cluster-ip-range=" + serviceRange,
		// At an address, so that programs outside the cluster that verify tokens can fetch the
		// keys.
		"--service-account-issuer=" + nodeURL,
		"--service-account-key-file=" + c.certificate("service-account.key"),
		"--service-account-signing-key-file=" + c.certificate("service-account.key"),
		"--kubelet-client-certificate=" + c.certificate("kubelet-client.crt"),
		"--kubelet-client-key=" + c.certificate("kubelet-client.key"),
		"--kubelet-certificate-authority=" + ca,
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + c.certificate("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.certificate("front-proxy.crt"),
		"--proxy-client-key-file=" + c.certificate("front-proxy.key"),
		"--profiling=false",
	}, ca, c.certificate("kube-apiserver.crt"))
}

// unused are controllers for what this cluster does not have: cloud networks, autoscaling without metrics, devices, attached disks.
var unused = []string{
	"device-taint-eviction-controller", "horizontal-pod-autoscaler-controller", "node-ipam-controller",
	"persistentvolume-attach-detach-controller", "resourceclaim-controller", "storage-version-migrator-controller",
	"legacy-serviceaccount-token-cleaner-controller", "replicationcontroller-controller",
	"resourcepoolstatusrequest-controller", "endpointslice-mirroring-controller",
}

func (c components) controllerManager() process.Command {
	kubeconfig := c.certificate("kube-controller-manager.kubeconfig")
	return c.command("kube-controller-manager", c.programs.kubernetes("kube-controller-manager"), []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--controllers=*,-" + strings.Join(unused, ",-"),
		"--use-service-account-credentials",
		"--root-ca-file=" + c.certificate("ca.crt"),
		"--service-account-private-key-file=" + c.certificate("service-account.key"),
		"--cluster-signing-cert-file=" + c.certificate("ca.crt"),
		"--cluster-signing-key-file=" + c.certificate("ca.key"),
		// Tests delete what runs, and wait for it to be gone.
		"--kube-api-qps=100", "--kube-api-burst=200",
	}, kubeconfig)
}

func (c components) scheduler() process.Command {
	kubeconfig := c.certificate("kube-scheduler.kubeconfig")
	return c.command("kube-scheduler", c.programs.kubernetes("kube-scheduler"), []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}, kubeconfig)
}

func (c components) provisioner() process.Command {
	kubeconfig := c.certificate("provisioner.kubeconfig")
	args := []string{"--kubeconfig=" + kubeconfig, "--name=" + config.Provisioner}
	for _, n := range c.all() {
		args = append(args, "--volumes="+n.Name+"="+n.Volumes())
	}
	return c.command("provisioner", c.programs["provisioner"], args, kubeconfig)
}

// on places a command on a node.
func (c components) on(n config.Node, command process.Command) process.Command {
	command.Namespace = c.namespace(n)
	return command
}

func (c components) containerd(n config.Node, program string) process.Command {
	file := filepath.Join(n.Config, "containerd.toml")
	return c.on(n, c.command("containerd-"+n.Name, program, []string{"--config", file}, file))
}

func (c components) kubelet(n config.Node) process.Command {
	kubeconfig, file := c.certificate("kubelet-"+n.Name+".kubeconfig"), filepath.Join(n.Config, "kubelet.yaml")
	return c.on(n, c.command("kubelet-"+n.Name, c.programs.kubernetes("kubelet"), []string{
		"--config=" + file,
		"--kubeconfig=" + kubeconfig,
		"--hostname-override=" + n.Name,
		"--node-ip=" + n.Address,
		"--root-dir=" + filepath.Join(n.Data, "kubelet"),
		"--cert-dir=" + filepath.Join(n.Data, "kubelet", "pki"),
	}, file, kubeconfig))
}

func (c components) proxy(n config.Node) process.Command {
	file := filepath.Join(n.Config, "kube-proxy.yaml")
	return c.on(n, c.command("kube-proxy-"+n.Name, c.programs.kubernetes("kube-proxy"), []string{"--config=" + file},
		file, c.certificate("kube-proxy.kubeconfig")))
}

func (c components) router(n config.Node) process.Command {
	kubeconfig := c.certificate("kube-router.kubeconfig")
	return c.on(n, c.command("kube-router-"+n.Name, c.programs["kube-router"], []string{
		"--kubeconfig=" + kubeconfig,
		"--node=" + n.Name,
		"--service-range=" + serviceRange,
	}, kubeconfig))
}
