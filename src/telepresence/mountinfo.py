"""Read proc(5)'s mountinfo: its bytes in, mount points out.

Called by: tunnel/ for the pod's, volumes/ for the laptop's own, environ/.
Owns: what counts as a volume.
Never: opens the file.
"""

import os
import re

from telepresence.values import MountPoint

# Mounted by the container runtime in every container (OCI runtime specification, "Default
# Filesystems"; Kubernetes adds the files), so not a volume of the pod.
_RUNTIME = ("/proc", "/sys", "/dev")
_RUNTIME_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def _unescaped(field: bytes) -> bytes:
    """proc(5): space, tab, newline and backslash are octal."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), field)


def take_mounts(data: bytes) -> tuple[MountPoint, ...]:
    """Each mount point once, with the state of the mount on top; lines that are none are left."""
    found: dict[bytes, MountPoint] = {}
    for line in data.splitlines():
        fields = line.split(b" ")
        if len(fields) < 10 or b"-" not in fields:
            continue
        path = _unescaped(fields[4])
        kind_at = fields.index(b"-") + 1
        options = {*fields[5].split(b","), *fields[kind_at + 2].split(b",")}
        found[path] = MountPoint(path=path, read_only=b"ro" in options)
    return tuple(found.values())


def is_in_memory(data: bytes, path: bytes) -> bool:
    """Whether what is written below that directory is on no disk."""
    kinds = {}
    for line in data.splitlines():
        fields = line.split(b" ")
        if len(fields) >= 10 and b"-" in fields:
            kinds[_unescaped(fields[4])] = fields[fields.index(b"-") + 1]
    above = [place for place in kinds if f"{os.fsdecode(path)}/".startswith(_slashed(place))]
    return bool(above) and kinds[max(above, key=len)] in (b"tmpfs", b"ramfs")


def _slashed(place: bytes) -> str:
    return f"{os.fsdecode(place).rstrip('/')}/"


def is_volume(mount: MountPoint) -> bool:
    """Of the pod's own specification, as Telepresence 1 tells them apart."""
    path = mount.path.decode(errors="surrogateescape")
    under = any(path == top or path.startswith(f"{top}/") for top in _RUNTIME)
    return path != "/" and not under and path not in _RUNTIME_FILES
