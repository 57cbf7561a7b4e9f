"""What this machine needs to mount the pod's files: sshfs, and a FUSE that this user may use.

Called by: cluster/observe.py, doctor/machine.py, volumes/.
Owns: where both are, on Linux and on macOS.
Never: mounts.
"""

import os
import shutil
import sys
from pathlib import Path

# Homebrew's two and macFUSE's own: a program that was not started in a terminal has none in PATH.
_MACOS_FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin")
_MACFUSE = Path("/Library/Filesystems/macfuse.fs")
_DEVICE = Path("/dev/fuse")


def find_sshfs(platform: str = sys.platform, path: str | None = None) -> str | None:
    """Its path, if it is installed."""
    folders = os.environ.get("PATH", os.defpath) if path is None else path
    if platform == "darwin":
        folders = os.pathsep.join((folders, *_MACOS_FOLDERS))
    return shutil.which("sshfs", path=folders)


def why_no_fuse(platform: str = sys.platform) -> str:
    """Why sshfs could not mount, "" when it probably can."""
    if platform == "darwin":
        if find_sshfs(platform) is None:
            return "there is no sshfs on this machine (macFUSE's, see macfuse.github.io)"
        return "" if _MACFUSE.exists() else "this machine has no FUSE: install macFUSE"
    if platform != "linux":
        return "volumes are mounted on Linux and macOS only"
    if find_sshfs(platform) is None:
        return "there is no sshfs on this machine (Debian: apt-get install sshfs)"
    if not _DEVICE.exists():
        return "this machine has no FUSE: there is no /dev/fuse (modprobe fuse)"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "you may not use FUSE: /dev/fuse is for others alone (chmod 0666 /dev/fuse)"
    return ""
