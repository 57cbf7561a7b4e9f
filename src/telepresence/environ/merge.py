"""Which variables the user's process gets: the laptop's and the pod's in, one environment out.

Called by: session.
Owns: the list of what stays the laptop's; docs/environment.md tells users of it.
Never: changes a value; bytes stay bytes.
"""

import fnmatch
import os
from pathlib import Path

from telepresence.mountinfo import is_volume
from telepresence.resolvconf import take_search
from telepresence.values import Endpoints, Environment, Plan, Pod

# The laptop's own: the pod's would keep the laptop's programs from starting, from finding their
# files or from drawing on their terminal.
KEPT = (
    "HOME", "PATH", "HOSTNAME",  # Telepresence 1's three
    "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "SHLVL", "TMPDIR", "XDG_*", "SUDO_*",
    "TERM", "LINES", "COLUMNS", "COLORTERM", "LS_COLORS",
    "LANG", "LANGUAGE", "LC_*", "LOCPATH", "NLSPATH", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
    "DBUS_SESSION_BUS_ADDRESS", "EDITOR", "VISUAL",
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "GPG_TTY",
    "LD_*", "DYLD_*", "GCONV_PATH", "GLIBC_TUNABLES", "TORSOCKS_*", "PROMPT_COMMAND",
    "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "VIRTUAL_ENV", "PERL5LIB", "PERLLIB",
    "RUBYLIB", "GEM_HOME", "GEM_PATH", "BUNDLE_PATH", "NODE_PATH", "JAVA_HOME", "JRE_HOME",
    "BUNDLE_APP_CONFIG", "BUNDLE_BIN", "NVM_DIR", "NPM_CONFIG_PREFIX", "CONDA_PREFIX",
    "MAVEN_HOME", "GRADLE_HOME", "GRADLE_USER_HOME", "COMPOSER_HOME", "PHP_INI_DIR",
    "PHP_INI_SCAN_DIR", "GOPATH", "GOROOT", "GOBIN", "GOCACHE", "GOMODCACHE", "GOTOOLCHAIN",
    "CARGO_HOME", "RUSTUP_HOME", "DOTNET_ROOT", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "KUBECONFIG", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST",
)  # fmt: skip


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def is_the_pods(
    key: bytes,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    kept: tuple[str, ...] = KEPT,
) -> bool:
    """Whether the pod's value is taken: exclude is stronger than include, and that than `kept`."""
    name = os.fsdecode(key)
    if _matches(name, exclude):
        return False
    return _matches(name, include) or not _matches(name, kept)


# A container has its own of nothing else: the pod's variables are for the same image, mostly.
CONTAINERS = ("HOME", "PATH", "HOSTNAME")


def make_environment(
    plan: Plan, pod: Pod, ends: Endpoints, root: Path | None = None
) -> Environment:
    """The pod's variables that are taken, and these over the laptop's."""
    kept = CONTAINERS if plan.method == "container" else KEPT
    taken = {
        key: value
        for key, value in ends.environ.items()
        if is_the_pods(key, plan.env_include, plan.env_exclude, kept)
    }
    taken[b"TELEPRESENCE_POD"] = pod.name.encode()
    taken[b"TELEPRESENCE_CONTAINER"] = pod.container.encode()
    taken[b"TELEPRESENCE_METHOD"] = plan.method.encode()
    volumes = (mount.path for mount in ends.mounts if is_volume(mount))
    taken[b"TELEPRESENCE_MOUNTS"] = b":".join(sorted(volumes))
    if root is not None:
        taken[b"TELEPRESENCE_ROOT"] = os.fsencode(plan.mount.inside or root)
    laptop = {os.fsencode(key): os.fsencode(value) for key, value in plan.environ.items()}
    return Environment(pod=taken, process=laptop | taken, search=take_search(ends.resolv_conf))
