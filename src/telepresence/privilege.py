"""Whether a process of ours could run as root.

Called by: cluster/observe.py, method/vpn/firewall.py.
Owns: nothing.
Never: runs sudo, so never asks for a password.
"""

import os
import shutil


def how_to_root(path: str | None = None) -> list[str] | None:
    """The words in front of a command that is to run as root; None: there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo", path=path)
    return None if sudo is None else [sudo]
