"""Programs that cannot work in the pod's network, and what is run instead: a line that says why.

Called by: inject, vpn/whole.py.
Owns: nothing; the folder is its caller's.
Never: touches the programs themselves, which their full paths still run.
"""

import os
from dataclasses import replace
from pathlib import Path

from telepresence.program import NEED_ICMP
from telepresence.values import Launch

EXIT_CODE = 55  # Telepresence 1's

_SCRIPT = """\
#!/bin/sh
echo "T: {name} cannot work with --method {method}: only TCP and UDP go to the pod, not ICMP;" \\
	"curl or nc -z HOST PORT try a connection" >&2
exit {code}
"""


def put_substitutes(launch: Launch, folder: Path, method: str = "inject-tcp") -> Launch:
    """The launch with `folder`, which is filled, first in PATH."""
    folder.mkdir()
    for name in NEED_ICMP:
        path = folder / name
        path.write_text(_SCRIPT.format(name=name, method=method, code=EXIT_CODE))
        path.chmod(0o755)
    before = launch.environ.get(b"PATH", os.fsencode(os.defpath))
    environ = launch.environ | {b"PATH": os.fsencode(folder) + b":" + before}
    program = str(folder / launch.argv[0]) if launch.argv[0] in NEED_ICMP else launch.program
    return replace(launch, program=program, environ=environ)
