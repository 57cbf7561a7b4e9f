"""What is run instead of some programs: of those that cannot work in the pod's network, a line that
says why; of proot, the same with what its last Debian version lacks.

Called by: inject, vpn/whole.py.
Owns: nothing; the folder is its caller's.
Never: touches the programs themselves, which their full paths still run.
"""

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from telepresence.program import NEED_ICMP
from telepresence.values import Launch

EXIT_CODE = 55  # Telepresence 1's
PROOT = Path(__file__).with_name("telepresence-proot")  # realpaths/proot.c

_SCRIPT = """\
#!/bin/sh
echo "T: {name} cannot work with --method {method}: only TCP and UDP go to the pod, not ICMP;" \\
	"curl or nc -z HOST PORT try a connection" >&2
exit {code}
"""


_PROOT = """\
#!/bin/sh
exec {words} "$@"
"""


def _scripts(method: str, path: str) -> dict[str, str]:
    scripts = {name: _SCRIPT.format(name=name, method=method, code=EXIT_CODE) for name in NEED_ICMP}
    proot = shutil.which("proot", path=path)
    if proot is not None and PROOT.exists():
        scripts["proot"] = _PROOT.format(words=shlex.join([str(PROOT), proot]))
    return scripts


def put_substitutes(launch: Launch, folder: Path, method: str = "inject-tcp") -> Launch:
    """The launch with `folder`, which is filled, first in PATH."""
    folder.mkdir()
    before = launch.environ.get(b"PATH", os.fsencode(os.defpath))
    scripts = _scripts(method, os.fsdecode(before))
    for name, text in scripts.items():
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    environ = launch.environ | {b"PATH": os.fsencode(folder) + b":" + before}
    program = str(folder / launch.argv[0]) if launch.argv[0] in scripts else launch.program
    return replace(launch, program=program, environ=environ)
