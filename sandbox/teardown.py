"""Remove everything that the sandbox left on the machine, whatever state it is in.

Called by: cli (down, and up before it starts afresh).  Owns: the order of removal.
Never: touches the caches; fails because something is already gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import docker
import firewall
import laptop
import node
import places
import processes
from machine import attempt, say

SHIM_SOCKETS = Path("/run/containerd/s")
CNI_RESULTS = Path("/var/lib/cni/results")
POD_LOGS = (Path("/var/log/pods"), Path("/var/log/containers"))


def clean() -> None:
    """Processes first, so that nothing comes back; then mounts, network, files."""
    laptop.delete_all()
    docker.down()
    pods = _pod_uids()
    processes.kill_all()
    _remove_shim_sockets()
    _unmount()
    for device in (places.POD_BRIDGE, places.NODE_BRIDGE):
        if Path(f"/sys/class/net/{device}").exists():
            attempt("ip", "link", "delete", device)
    laptop.delete_internet()
    firewall.remove()
    node.restore_sysctls()
    node.restore_fuse()
    processes.remove_cgroups()
    _remove_pod_logs(pods)
    for result in CNI_RESULTS.glob(f"{places.CGROUP}-*"):
        result.unlink(missing_ok=True)
    shutil.rmtree(places.data(), ignore_errors=True)
    shutil.rmtree(places.RUN, ignore_errors=True)


def _pod_uids() -> set[str]:
    pods = places.data() / "kubelet" / "pods"
    return {path.name for path in pods.iterdir()} if pods.is_dir() else set()


def _remove_shim_sockets() -> None:
    """containerd puts them where it likes; each task's `address` file names one."""
    for address in places.CONTAINERD_STATE.glob("io.containerd.runtime.v2.task/*/*/address"):
        socket = Path(address.read_text().removeprefix("unix://"))
        if socket.parent == SHIM_SOCKETS:
            socket.unlink(missing_ok=True)
    for directory in (SHIM_SOCKETS, SHIM_SOCKETS.parent):
        try:
            directory.rmdir()  # only when nobody else's containerd uses it
        except OSError:
            return


def _unmount() -> None:
    """Every mount below the sandbox's directories, the last one first."""
    ours = (str(places.RUN) + "/", str(places.cache()) + "/")
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    for point in reversed(points):
        if point.startswith(ours) and not attempt("umount", point):
            attempt("umount", "--lazy", point)


def _remove_pod_logs(pods: set[str]) -> None:
    logs, links = POD_LOGS
    for directory in logs.glob("*") if logs.is_dir() else ():
        if directory.name.rpartition("_")[2] in pods:
            shutil.rmtree(directory, ignore_errors=True)
    for link in links.glob("*") if links.is_dir() else ():
        if link.is_symlink() and not link.exists():
            link.unlink()
    for directory in POD_LOGS:
        try:
            directory.rmdir()
        except OSError:
            continue


def down() -> None:
    if not places.RUN.exists():
        say("nothing to stop")
    given = places.KUBECONFIGS.read_text().splitlines() if places.KUBECONFIGS.exists() else []
    clean()
    for kubeconfig in given:  # `env` then says that nothing runs
        Path(kubeconfig).unlink(missing_ok=True)
