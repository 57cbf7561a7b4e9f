"""Look at this machine: what each method needs of its kernel, programs and privileges.

Called by: report.py.
Owns: nothing.
Never: changes anything; runs sudo but to ask whether it would need a password.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from telepresence.doctor.finding import EVERY, Finding
from telepresence.errors import MethodError
from telepresence.fuse import why_no_fuse
from telepresence.method.inject import SHIM
from telepresence.method.vpn.firewall import choose
from telepresence.privilege import how_to_root
from telepresence.program import SUPERVISOR, why_no_supervisor

SBIN = "/usr/sbin:/sbin"
ASK_TIMEOUT_S = 5.0


def _runs(*words: str) -> bool:
    """Whether a program that only looks says yes."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def root() -> Finding:
    words = how_to_root()
    if words is None:
        return Finding("vpn-tcp", "neither root nor sudo", "use -m inject-tcp, or install sudo")
    if not words:
        return Finding("vpn-tcp", "you are root")
    if _runs(*words, "-n", "true"):
        return Finding("vpn-tcp", "sudo asks for no password")
    todo = "run 'sudo -v' first where there is no terminal"
    return Finding("vpn-tcp", "sudo asks for a password, or refuses", todo, is_limit=True)


def firewall() -> Finding:
    try:
        method = choose(dict(os.environ))
    except MethodError as exc:
        return Finding("vpn-tcp", str(exc), exc.hint or "leave the variable away")
    if os.geteuid() != 0:
        return Finding("vpn-tcp", f"the firewall's program for {method} is installed")
    name, words = {
        "nft": ("nft", ("list", "tables")),
        "nat": ("iptables", ("-w", "-t", "nat", "-S")),
        "pf": ("pfctl", ("-s", "info")),
    }[method]
    program = shutil.which(name, path=SBIN + ":/usr/bin:/bin")
    if program is None or not _runs(program, *words):
        if method == "pf":
            return Finding("vpn-tcp", "pf does not answer", "use -m inject-tcp")
        other = "nat" if method == "nft" else "nft"
        todo = f"load the kernel's module for it, or set TELEPRESENCE_FIREWALL={other}"
        return Finding("vpn-tcp", f"the kernel refuses {method}", todo)
    return Finding("vpn-tcp", f"the kernel takes rules of {method}")


def engines() -> Iterator[Finding]:
    if not SHIM.is_file():
        yield Finding("inject-tcp", f"{SHIM} is missing", "install telepresence again")
    else:
        yield Finding("inject-tcp", "the preloaded library is installed")
    if sys.platform != "linux":
        return
    why = why_no_supervisor(SHIM.with_name(SUPERVISOR))
    if why:
        todo = "static, Go and setuid programs take -m vpn-tcp"
        yield Finding("inject-tcp", why, todo, is_limit=True)
    else:
        yield Finding("inject-tcp", "the kernel lets static, Go and setuid programs be supervised")


def containers(client: str = "docker") -> Finding:
    path = shutil.which(client)
    if path is None:
        return Finding(
            "container", f"there is no {client}", "install it, or name another: --docker"
        )
    if not _runs(path, "info"):
        todo = f"start its engine, or become one of its users (see: {client} info)"
        return Finding("container", f"{client} reaches no engine", todo)
    return Finding("container", f"{client} reaches its engine")


def volumes() -> Finding:
    if why := why_no_fuse():
        return Finding(EVERY, f"no volumes: {why}", "--mount copy needs no FUSE", is_limit=True)
    return Finding(EVERY, "volumes can be mounted (FUSE, sshfs)")


def findings() -> list[Finding]:
    return [root(), firewall(), *engines(), containers(), volumes()]
