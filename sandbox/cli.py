"""Turn the words on the command line into the sandbox's verbs.

Called by: the executable beside it.  Owns: the lock, the order of starting, the exit code.
Never: changes the machine itself."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import base_image
import cluster_dns
import control_plane
import docker
import images
import kubernetes_build
import laptop
import machine
import node
import pki
import places
import processes
import shell
import teardown
import workloads
from api import Api, ApiRefused
from machine import SandboxError, say

PROGRAMS = (*control_plane.NAMES, *node.NAMES, "cluster-dns")
VERBS = ("up", "down", "status", "env")
WANTED = {"image": "IMAGE.tar", "laptop": "NAME", "docker": "up or down"}
WORKLOADS_START_S = 90.0  # 20 x what a start takes on two idle cores
WORKLOADS_MEND_S = 30.0  # then starting afresh is quicker than waiting

MANUAL = """\
verbs:
  up                     build what is missing, start what does not run; repeat at will
  down                   stop it and leave nothing but the caches
  status                 say what runs; exit 0 when all of it is healthy
  env                    print `export KUBECONFIG=...` for eval, and DOCKER_HOST after `docker up`
  docker up              start a Docker engine beside the node, with sandbox-base:1 in it
  docker down            stop it, and remove what it held
  image IMAGE.tar        load a docker-archive into the node, and into the Docker engine
  laptop NAME [-- CMD]   create or enter a laptop: a network namespace that sees the node's
                         address, a company resolver and an Internet, but no pods or Services
  laptop NAME --delete   delete it
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sandbox",
        description="A real one-node Kubernetes from Debian packages alone.",
        epilog=MANUAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=[*VERBS, *WANTED])
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    wanted = WANTED.get(options.verb)
    if wanted and not options.rest:
        parser.error(f"{options.verb} needs {wanted}")
    if options.verb == "docker" and options.rest not in (["up"], ["down"]):
        parser.error("docker: up or down")
    if not wanted and options.rest:
        parser.error(f"{options.verb} takes no {options.rest[0]!r}")
    try:
        return _run(options.verb, options.rest, arguments)
    except SandboxError as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted; `sandbox/sandbox up` continues", file=sys.stderr)
        return 130


def _run(verb: str, rest: list[str], arguments: list[str]) -> int:
    if verb == "env":
        return _env()
    if verb == "image":
        rest = [str(Path(rest[0]).resolve())]
        arguments = [verb, *rest]
    if verb == "laptop":
        return shell.laptop(rest)
    machine.become_root(arguments)
    if verb == "status":
        return _status()
    with locked():
        if verb == "up":
            _up()
        elif verb == "down":
            teardown.down()
        elif verb == "docker":
            _docker(rest[0])
        else:
            _need_running()
            images.load(Path(rest[0]))
            if docker.runs():
                docker.load(Path(rest[0]))
    return 0


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One change at a time; the file stays, as removing it would let two in."""
    with places.LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another sandbox command")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _env() -> int:
    path = places.user_kubeconfig(places.observe_invoker())
    if not path.exists():
        raise SandboxError(f"no {path}: run `sandbox/sandbox up` first")
    print(f"export KUBECONFIG={shlex.quote(str(path))}")
    if docker.runs():
        print(f"export DOCKER_HOST={shlex.quote(docker.host())}")
    return 0


def _docker(verb: str) -> None:
    if verb == "down":
        docker.down()
        return
    _need_running()
    docker.up()


def _status() -> int:
    problems = find_problems()
    for name in (*PROGRAMS, docker.NAME):
        pid = processes.pid_of(name)
        print(f"{name:20} {f'pid {pid}' if pid else 'not running'}")
    print(f"{'laptops':20} {' '.join(laptop.names()) or 'none'}")
    for problem in problems:
        print(f"unhealthy: {problem}")
    if not problems:
        print(f"healthy: {places.API_URL}, data and logs in {places.data()}")
    return 1 if problems else 0


def find_problems() -> list[str]:
    """Empty when the sandbox is whole.  Cheap: a repeated `up` asks nothing else."""
    dead = [name for name in PROGRAMS if not processes.is_alive(name)]
    if dead:
        return [f"not running: {', '.join(dead)}"]
    if missing := node.missing_bridges():
        return [f"network bridges are gone: {', '.join(missing)}"]
    try:
        unready = workloads.not_ready(Api(places.pki()))
        ready = node.is_ready()
    except (OSError, ApiRefused) as exc:
        return [f"the API server does not answer: {exc}"]
    problems = [] if ready else ["the node is not Ready"]
    if unready:
        problems.append(f"workloads not ready: {', '.join(unready)}")
    if not cluster_dns.answers(places.NODE_ADDRESS, places.DNS_PORT):
        problems.append("the cluster's DNS does not answer")
    return problems


def _need_running() -> None:
    if not processes.is_alive("containerd"):
        raise SandboxError("the sandbox is not running: `sandbox/sandbox up` first")


# ---- up


def _up() -> None:
    invoker = places.observe_invoker()
    places.make_user_cache(invoker)
    if not _was_rebooted() and not find_problems():
        pki.write_user_kubeconfig(invoker)
        say("healthy already")
        return
    machine.install_missing(machine.PACKAGES)
    was_healthy = (places.data() / "was-healthy").exists()
    if _was_rebooted() or (was_healthy and places.POD_BRIDGE in node.missing_bridges()):
        teardown.clean()  # pods without their network do not come back by themselves
        was_healthy = False
    build()
    try:
        _start(invoker, WORKLOADS_MEND_S if was_healthy else WORKLOADS_START_S)
    except SandboxError as exc:
        if not was_healthy:
            raise
        # It ran once and cannot be mended in place: what it held is a fixture, so begin again.
        say(f"cannot be mended ({exc}); starting afresh")
        teardown.clean()
        _start(invoker, WORKLOADS_START_S)
    (places.data() / "was-healthy").touch()
    say(f'up: eval "$({places.SOURCES / "sandbox"} env)"')


def _was_rebooted() -> bool:
    """True as well when nothing is known: then leftovers of an interrupted `down` may lie about."""
    try:
        return places.BOOT_ID.read_text() != _boot_id()
    except FileNotFoundError:
        return True


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()


def build() -> None:
    """Kubernetes and the images at the same time: one compiles, the other mostly unpacks."""
    if kubernetes_build.is_built() and base_image.are_built():
        return
    machine.install_missing(machine.BUILD_PACKAGES)
    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(base_image.build), pool.submit(kubernetes_build.build)]:
            task.result()


def _start(invoker: places.Invoker, workloads_timeout_s: float) -> None:
    places.RUN.mkdir(mode=0o755, exist_ok=True)
    if not places.ACTIVE.is_symlink():
        places.ACTIVE.symlink_to(places.user_cache(invoker))
    places.BOOT_ID.write_text(_boot_id())
    node.prepare_machine()
    with ThreadPoolExecutor(2) as pool:
        runtime = pool.submit(_start_runtime)
        say("starting the control plane")
        control_plane.start()
        api = Api(places.pki())
        say("starting the node")
        runtime.result()
        node.start_kubelet()
        node.start_kube_proxy()
        cluster_dns.start()
        workloads.apply(api)
        pki.write_user_kubeconfig(invoker)
        node.wait_ready()
        say("waiting for the workloads")
        workloads.wait_ready(api, timeout_s=workloads_timeout_s)
    problems = find_problems()
    if problems:
        raise SandboxError(f"{problems[0]}; see {places.logs()}")


def _start_runtime() -> None:
    node.start_containerd()
    node.load_images(base_image.pause_archive(), base_image.base_archive())
