"""Run the cluster's one node: bridge, containerd, kubelet and kube-proxy.

Called by: cli.  Owns: the node's bridge, the kernel settings it changes, these three programs.
Never: decides which pods run."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import firewall
import images
import places
import processes
from api import Api, ApiRefused
from machine import attempt, run, wait_until

NAMES = ("containerd", "kubelet", "kube-proxy")
FUSE = Path("/dev/fuse")

# What kubelet, kube-proxy and the bridge change; `down` puts the old values back.
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
)


def prepare_machine() -> None:
    """Bridge, forwarding, cgroups, firewall.  May be repeated."""
    places.RUN.mkdir(mode=0o755, exist_ok=True)
    places.data().mkdir(parents=True, exist_ok=True)
    places.data().chmod(0o711)  # the user's own kubeconfig is elsewhere; keys in pki/ are root's
    if not places.SYSCTLS_BEFORE.exists():
        values = {name: value for name in SYSCTLS if (value := _read_sysctl(name)) is not None}
        places.SYSCTLS_BEFORE.write_text(json.dumps(values))
    firewall.remember_tables()
    if not Path(f"/sys/class/net/{places.NODE_BRIDGE}").exists():
        run("ip", "link", "add", places.NODE_BRIDGE, "type", "bridge")
    run("ip", "address", "replace", f"{places.NODE_ADDRESS}/32", "dev", places.NODE_BRIDGE)
    run("ip", "link", "set", places.NODE_BRIDGE, "up")
    attempt("modprobe", "-a", "br_netfilter", "overlay")  # built in, or not there at all
    _write_sysctl("net/ipv4/ip_forward", "1")
    _write_sysctl("net/bridge/bridge-nf-call-iptables", "1")
    processes.make_cgroups()
    firewall.allow_pods()
    _open_fuse()


def _open_fuse() -> None:
    """As systemd's rule has it (50-udev-default.rules), on a machine where no udev runs."""
    if FUSE.exists() and not Path("/run/udev/control").exists():
        if not places.FUSE_BEFORE.exists():
            places.FUSE_BEFORE.write_text(oct(FUSE.stat().st_mode & 0o777))
        FUSE.chmod(0o666)


def restore_fuse() -> None:
    if places.FUSE_BEFORE.exists():
        FUSE.chmod(int(places.FUSE_BEFORE.read_text(), 8))
        places.FUSE_BEFORE.unlink()


def _read_sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _write_sysctl(name: str, value: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/sys", name).write_text(value)


def restore_sysctls() -> None:
    try:
        values = json.loads(places.SYSCTLS_BEFORE.read_text())
    except (FileNotFoundError, ValueError):
        return
    for name, value in values.items():
        _write_sysctl(name, value)
    places.SYSCTLS_BEFORE.unlink()


def start_containerd() -> None:
    """Returns when containerd answers and has the pause image and the base image."""
    config = places.data() / "cni"
    config.mkdir(exist_ok=True)
    (config / "10-sandbox.conflist").write_text(json.dumps(_network()))
    (places.data() / "containerd.toml").write_text(_containerd_config())
    processes.start("containerd", ["containerd", "--config", places.data() / "containerd.toml"])
    wait_until(
        _containerd_answers,
        "containerd does not answer",
        timeout_s=20,
        hint=f"see {places.logs()}/containerd.log",
        or_raise=lambda: processes.check_alive("containerd"),
    )


def _containerd_answers() -> bool:
    return attempt("ctr", "--address", places.CONTAINERD_SOCKET, "version")


def load_images(*archives: Path) -> None:
    for archive in archives:
        images.load(archive)


def start_kubelet() -> None:
    (places.data() / "volume-plugins").mkdir(exist_ok=True)
    (places.data() / "kubelet.json").write_text(json.dumps(_kubelet_config()))
    _write_resolv_conf()
    processes.start(
        "kubelet",
        [
            places.binaries() / "kubelet",
            f"--config={places.data()}/kubelet.json",
            f"--kubeconfig={places.data()}/kubelet.kubeconfig",
            "--container-runtime=remote",
            f"--container-runtime-endpoint=unix://{places.CONTAINERD_SOCKET}",
            f"--hostname-override={places.NODE_NAME}",
            f"--node-ip={places.NODE_ADDRESS}",
            f"--root-dir={places.data()}/kubelet",
            f"--cert-dir={places.data()}/kubelet/pki",
            "--housekeeping-interval=30s",  # cadvisor's scans are most of an idle kubelet's work
        ],
    )


def start_kube_proxy() -> None:
    processes.start(
        "kube-proxy",
        [
            places.binaries() / "kube-proxy",
            f"--kubeconfig={places.data()}/proxy.kubeconfig",
            f"--cluster-cidr={places.CLUSTER_RANGE}",
            f"--hostname-override={places.NODE_NAME}",
            f"--nodeport-addresses={places.NODE_ADDRESS}/32",
            "--proxy-mode=iptables",
            "--iptables-min-sync-period=100ms",  # a new Service is reachable that soon
            "--conntrack-max-per-core=0",
            "--healthz-bind-address=127.0.0.1:10256",
        ],
    )


def is_ready() -> bool:
    """Ready by its own word, which is up to 10 s old, and no longer tainted."""
    try:
        node = Api(places.pki()).get(f"/api/v1/nodes/{places.NODE_NAME}")
    except (OSError, ApiRefused):
        return False
    states = {state["type"]: state["status"] for state in node["status"].get("conditions", [])}
    return states.get("Ready") == "True" and not node["spec"].get("taints")


def wait_ready() -> None:
    """Raises at once when any program of the cluster has ended."""
    wait_until(
        is_ready,
        "the node is not Ready",
        timeout_s=60,
        hint=f"see {places.logs()}/kubelet.log",
        or_raise=lambda: processes.check_alive(*processes.names()),
        step_s=0.1,
    )


def missing_bridges() -> list[str]:
    bridges = (places.NODE_BRIDGE, places.POD_BRIDGE)
    return [name for name in bridges if not Path(f"/sys/class/net/{name}").exists()]


def _network() -> dict[str, object]:
    ranges = [[{"subnet": places.POD_RANGE}]]
    bridge = {
        "type": "bridge",
        "bridge": places.POD_BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(places.data() / "addresses"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": places.CGROUP, "plugins": [bridge, ports]}


def _containerd_config() -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE it may not be lowered, and runc just fails.
    # netns_mounts_under_state_dir: /run/netns stays the machine's own.
    snapshotters = ", ".join(
        f'"io.containerd.snapshotter.v1.{name}"' for name in ("aufs", "btrfs", "devmapper", "zfs")
    )
    return f"""
version = 2
root = "{places.cache()}/containerd"
state = "{places.CONTAINERD_STATE}"
disabled_plugins = [{snapshotters}]
[grpc]
address = "{places.CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{places.data()}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{places.PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{places.data()}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{places.RUN}/runc"
"""


def _kubelet_config() -> dict[str, object]:
    keys = places.pki()
    never = {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": places.NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": f"{keys}/ca.crt"},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{keys}/kubelet.crt",
        "tlsPrivateKeyFile": f"{keys}/kubelet.key",
        "clusterDNS": [places.DNS_SERVICE_ADDRESS],
        "clusterDomain": places.CLUSTER_DOMAIN,
        "resolvConf": str(places.data() / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{places.CGROUP}",
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,  # images cannot be pulled again
        "evictionHard": never | {"nodefs.inodesFree": "0%"},
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 50,
        "kubeAPIBurst": 100,
        "volumeStatsAggPeriod": "10m0s",
        # A look each second, a report only of changes: Ready is told at once, not 10 s later.
        "nodeStatusUpdateFrequency": "1s",
        "nodeStatusReportFrequency": "1m0s",
    }


def _write_resolv_conf() -> None:
    """The machine's nameservers without its search list: a pod's is the cluster's alone."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    kept = [line for line in lines if line.startswith("nameserver")]
    (places.data() / "resolv.conf").write_text("\n".join(kept) + "\n")
