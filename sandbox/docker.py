"""Start Debian's Docker engine beside the node, with a socket, data and a bridge of its own.

Called by: cli (docker up, docker down, image, env), teardown.  Owns: dockerd, the bridge, and the
DOCKER chains of iptables when no other engine is on the machine.
Never: touches an engine that it did not start."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import base_image
import firewall
import places
import processes
from machine import SandboxError, attempt, install_missing, run, say, wait_until

NAME = "dockerd"
PACKAGES = {"/usr/sbin/dockerd": "docker.io", "/usr/bin/docker": "docker.io"}
START_S = 30.0  # 20 x what it takes on two idle cores
BASE_IMAGE = "sandbox-base:1"


def host() -> str:
    return f"unix://{places.DOCKER_SOCKET}"


def runs() -> bool:
    return processes.is_alive(NAME)


def docker(*words: str | Path) -> str:
    return run("/usr/bin/docker", "--host", host(), *words)


def up() -> None:
    install_missing(PACKAGES)
    _make_bridge()
    if not runs():
        say("starting the Docker engine")
        # Its cgroups are below ours, so that `sandbox down` finds every container.
        processes.start(
            NAME,
            [
                "/usr/sbin/dockerd",
                f"--host={host()}",
                f"--data-root={places.data() / 'docker'}",
                f"--exec-root={places.DOCKER_STATE}",
                f"--pidfile={places.RUN / 'dockerd.pid'}",
                f"--bridge={places.DOCKER_BRIDGE}",
                f"--cgroup-parent=/{places.CGROUP}/docker",
                "--dns=" + places.NODE_ADDRESS,  # none of its own is meant to be asked
            ],
        )
    wait_until(
        lambda: attempt("/usr/bin/docker", "--host", host(), "version"),
        "the Docker engine does not answer",
        timeout_s=START_S,
        hint=f"see {places.logs() / NAME}.log",
        or_raise=lambda: processes.check_alive(NAME),
    )
    os.chown(places.DOCKER_SOCKET, places.observe_invoker().uid, -1)
    if BASE_IMAGE not in docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        load(base_image.base_archive())
        docker("tag", places.BASE_IMAGE, BASE_IMAGE)
    say(f"Docker {docker('version', '--format', '{{.Server.Version}}').strip()}: {host()}")


def load(archive: Path) -> None:
    """Layers that it has already are not read again, so a second time costs little."""
    docker("load", "--quiet", "--input", archive)


def down() -> None:
    if runs():
        for container in docker("ps", "--all", "--quiet").split():
            attempt("/usr/bin/docker", "--host", host(), "rm", "--force", "--volumes", container)
        _end()
    processes.stop(NAME)
    if Path(f"/sys/class/net/{places.DOCKER_BRIDGE}").exists():
        run("ip", "link", "delete", places.DOCKER_BRIDGE)
        firewall.remove_dockers(alone=not Path("/sys/class/net/docker0").exists())
    places.DOCKER_SOCKET.unlink(missing_ok=True)
    for place in (places.DOCKER_STATE, places.data() / "docker"):
        _remove(place)


def _end() -> None:
    """In order: its containerd ends with it, and every shim takes its socket along."""
    pid = processes.pid_of(NAME)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        processes.wait_gone([pid])


def _remove(place: Path) -> None:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        point = line.split()[1].encode().decode("unicode_escape")
        if point.startswith(f"{place}/"):
            attempt("umount", point)
    shutil.rmtree(place, ignore_errors=True)


def _make_bridge() -> None:
    if not places.RUN.is_dir():
        raise SandboxError("the sandbox is not running: `sandbox/sandbox up` first")
    if not Path(f"/sys/class/net/{places.DOCKER_BRIDGE}").exists():
        run("ip", "link", "add", places.DOCKER_BRIDGE, "type", "bridge")
        run("ip", "address", "add", places.DOCKER_RANGE, "dev", places.DOCKER_BRIDGE)
        run("ip", "link", "set", places.DOCKER_BRIDGE, "up")
