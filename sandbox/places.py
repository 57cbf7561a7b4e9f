"""Name every path, address and version of the sandbox.

Called by: all modules of the sandbox.  Owns: nothing.
Never: creates or changes anything but the directories it is asked for."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent

KUBERNETES_VERSION = "1.20.2"  # bookworm's: the last whole source tree in Debian
KUBERNETES_BUILD = 2  # another number for another way of building it
CLUSTER_DOMAIN = "cluster.local"

NODE_NAME = "sandbox"
NODE_ADDRESS = "10.99.0.1"
NODE_BRIDGE = "k8s0"
POD_BRIDGE = "cni-sbx"
POD_RANGE = "10.244.0.0/24"
CLUSTER_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
DNS_PORT = 10053  # not 53: the machine may run a resolver of its own on every address
API_PORT = 6443
ETCD_PORT = 23790  # not 2379: Debian's etcd-server starts one of its own there
ETCD_PEER_PORT = 23800
API_URL = f"https://{NODE_ADDRESS}:{API_PORT}"

LAPTOP_RANGE = "10.98.0"  # laptop N has .N on its link to the node
INTERNET_RANGE = "198.18"  # RFC 2544: for benchmarks, never routed in earnest
INTERNET_ADDRESS = "198.18.0.1"
COMPANY_DNS_ADDRESS = "198.18.0.53"
INTERNET_NETNS = "sandbox-internet"
DOCKER_BRIDGE = "docker-sbx"
DOCKER_RANGE = "10.97.0.1/24"

BASE_IMAGE = "localhost/sandbox-base:1"
PAUSE_IMAGE = "localhost/pause:1"

CGROUP = "telepresence-sandbox"
FIREWALL_TAG = "telepresence-sandbox"

# What dies with a reboot: sockets, process ids, mounts.  Short: a socket's path has 108 bytes.
RUN = Path("/run/telepresence-sandbox")
LOCK = Path("/run/telepresence-sandbox.lock")
ACTIVE = RUN / "cache"  # symlink to the cache that the running sandbox uses
CONTAINERD_SOCKET = RUN / "containerd.sock"
CONTAINERD_STATE = RUN / "containerd"
DOCKER_SOCKET = RUN / "docker.sock"
DOCKER_STATE = RUN / "docker"
PROCESSES = RUN / "processes"
LAPTOPS = RUN / "laptops"
KUBECONFIGS = RUN / "kubeconfigs"  # a line for each user's, so that `down` finds all
UPSTREAM = RUN / "upstream"  # where the cluster's DNS forwards to, instead of the node's resolvers
BOOT_ID = RUN / "boot-id"
SYSCTLS_BEFORE = RUN / "sysctls-before.json"
FUSE_BEFORE = RUN / "fuse-before"  # the mode of /dev/fuse
TABLES_BEFORE = RUN / "iptables-before.json"


@dataclass(frozen=True, slots=True)
class Invoker:
    """The user who typed the command, also behind sudo."""

    uid: int
    gid: int
    name: str
    home: Path


def observe_invoker() -> Invoker:
    uid = os.getuid()
    if uid == 0 and os.environ.get("SUDO_UID", "").isdigit():
        uid = int(os.environ["SUDO_UID"])
    entry = pwd.getpwuid(uid)
    # Not $HOME: sudo sets it or keeps it as configured, and both sides must name the same cache.
    return Invoker(uid, entry.pw_gid, entry.pw_name, Path(entry.pw_dir))


def user_cache(invoker: Invoker) -> Path:
    return invoker.home / ".cache" / "telepresence-sandbox"


def user_kubeconfig(invoker: Invoker) -> Path:
    return user_cache(invoker) / "kubeconfig"


def cache() -> Path:
    """The cache of the running sandbox, whoever started it; else the invoker's own."""
    if ACTIVE.is_symlink():
        return ACTIVE.readlink()
    return user_cache(observe_invoker())


def data() -> Path:
    """What lives from `up` to `down`: keys, etcd, kubelet, logs."""
    return cache() / "run"


def logs() -> Path:
    return data() / "logs"


def binaries() -> Path:
    return cache() / f"kubernetes-{KUBERNETES_VERSION}-{KUBERNETES_BUILD}" / "bin"


def pki() -> Path:
    return data() / "pki"


def make_user_cache(invoker: Invoker) -> None:
    """Create ~/.cache/telepresence-sandbox so that the user, not root, owns it."""
    for directory in (invoker.home / ".cache", user_cache(invoker)):
        if not directory.exists():
            directory.mkdir(parents=True)
            os.chown(directory, invoker.uid, invoker.gid)
