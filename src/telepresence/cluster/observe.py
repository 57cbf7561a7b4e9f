"""Look at the laptop and the cluster without changing either: Options in, Facts out.

Called by: session.
Owns: nothing.
Never: creates, writes or refuses; plan.py refuses.
"""

import asyncio
import getpass
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from telepresence import engines
from telepresence.cluster import existing, review, workload
from telepresence.cluster.api import Api
from telepresence.exposed import PRIVILEGED_BELOW, exposed
from telepresence.fuse import why_no_fuse
from telepresence.mountinfo import is_in_memory
from telepresence.privilege import how_to_root
from telepresence.program import SUPERVISOR, why_closed, why_no_supervisor
from telepresence.rights import rights
from telepresence.values import Facts, Options, Workload


async def _is_openshift(api: Api) -> bool:
    groups = await api.request("GET", "/apis")
    return any("openshift.io" in group["name"] for group in groups["groups"])


async def _version(api: Api) -> tuple[tuple[int, int], bool]:
    """Of the server: major and minor, and whether it is OpenShift."""
    said, openshift = await asyncio.gather(api.request("GET", "/version"), _is_openshift(api))
    digits = [re.match(r"\d+", said[part]) for part in ("major", "minor")]  # "20+" of some clouds
    major, minor = (int(found[0]) if found else 0 for found in digits)
    return (major, minor), openshift


async def kubectl(api: Api) -> str | None:
    """oc for an OpenShift server, else kubectl, as Telepresence 1 chose."""
    kubectl, oc = shutil.which("kubectl"), shutil.which("oc")
    if oc is None or kubectl is None:
        return kubectl or oc
    return oc if await _is_openshift(api) else kubectl


def _no_supervisor(inject: str, supervisor: Path) -> str:
    if sys.platform != "linux":
        return "the seccomp engine is for Linux"
    return "" if inject == "preload" else why_no_supervisor(supervisor)


def _no_sharing() -> str:
    """Why another user, as whom an engine runs, could not see a mount of this one."""
    allowed = re.compile(r"^\s*user_allow_other\s*$", re.M)  # fusermount3(1)
    conf = Path("/etc/fuse.conf")
    if os.geteuid() == 0 or (conf.exists() and allowed.search(conf.read_text())):
        return ""
    return "only root may share a mount with the engine, as /etc/fuse.conf has no user_allow_other"


def _no_namespace() -> str:
    """What the kernel says to a mount namespace, "" when it allows one."""
    if sys.platform != "linux":
        return "that is for Linux"
    program = Path(__file__).parent.parent / "volumes" / "telepresence-realpaths"
    try:
        done = subprocess.run([program, "--check"], stderr=subprocess.PIPE, check=False)
    except OSError as exc:
        return f"{program}: {exc.strerror}"
    return done.stderr.decode(errors="replace").strip() if done.returncode else ""


def _no_mount(place: Path) -> str:
    """What is wrong with a mount point, "" when it can be one or be made."""
    if place.is_mount():
        return f"{place}: something is mounted there"
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir():
        return f"{place}: {there} is no directory"
    return "" if os.access(there, os.W_OK) else f"{place}: you may not write to {there}"


def _memory(environ: dict[str, str]) -> Path | None:
    """A directory for files that are on no disk.

    file-hierarchy(7): both are in memory on a Linux with systemd; nobody but root can make more."""
    mounts = Path("/proc/self/mountinfo")
    said = mounts.read_bytes() if mounts.exists() else b""
    for name in (environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):
        place = Path(name)
        if (
            place.is_absolute()
            and os.access(place, os.W_OK | os.X_OK)
            and is_in_memory(said, os.fsencode(place.resolve()))
        ):
            return place
    return None


def _unwritable(path: str) -> str:
    """Why a file cannot be written there, "" when it can."""
    folder = Path(path).parent
    if Path(path).is_dir():
        return f"{path}: it is a directory"
    if not folder.is_dir():
        return f"{path}: there is no directory {folder}"
    return "" if os.access(folder, os.W_OK) else f"{path}: you may not write to {folder}"


def _user() -> str:
    """Who to ask for the workload."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # no such uid in passwd, as in a container
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


async def _workload(api: Api, options: Options) -> tuple[Workload | None, tuple[str, ...]]:
    """The one that is swapped, or used; of the latter its pods too."""
    if options.deployment is not None:
        used = await workload.find(api, options.deployment, is_swap=False)
        found = await existing.pods(api, used)
        return used, tuple(pod["metadata"]["name"] for pod in found)
    if options.swap_deployment is not None:
        return await workload.find(api, options.swap_deployment), ()
    return None, ()


async def observe(options: Options, api: Api, shim: Path) -> Facts:
    """ClusterError when the cluster does not answer, or has no such workload."""
    environ = dict(os.environ)
    supervisor = shim.with_name(SUPERVISOR)
    program = shutil.which(options.command[0]) if options.command else None
    shell = environ.get("SHELL") or "/bin/sh"
    named, pods = await _workload(api, options)
    needed = rights(options, named)
    low = any(port.pod < PRIVILEGED_BELOW for port in exposed(options, named))
    client, version, access, engine, no_supervisor, denied = await asyncio.gather(
        kubectl(api),
        _version(api) if low and not pods else asyncio.sleep(0, ((0, 0), False)),
        api.access(),
        engines.look(options, environ),
        asyncio.to_thread(_no_supervisor, options.inject, supervisor),
        review.denied(api, needed),
    )
    return Facts(
        context=api.context,
        namespace=api.namespace,
        server=api.server,
        needed=needed,
        denied=denied,
        kubectl=client,
        direct=access is not None,
        program=program,
        shell=shell,
        shim=shim,
        shim_exists=shim.is_file(),
        supervisor=supervisor,
        no_supervisor=no_supervisor,
        program_closed=why_closed(program or shell),
        environ=environ,
        may_root=how_to_root() is not None,
        no_fuse=why_no_fuse(),
        no_sharing=_no_sharing(),
        no_namespace=_no_namespace() if options.volumes_at_real_paths else "",
        no_mount=_no_mount(options.mount.path) if options.mount.path else "",
        memory=_memory(environ),
        unwritable=tuple(
            filter(None, (_unwritable(p) for p in (options.env_json, options.env_file) if p))
        ),
        user=_user(),
        **engine,
        now=api.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        workload=named,
        pods=pods,
        server_version=version[0],
        is_openshift=version[1],
    )
