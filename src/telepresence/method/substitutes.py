"""Programs that cannot work in the pod's network, and what is run instead: a line that says why.

Called by: inject.
Owns: nothing; the folder is its caller's.
Never: touches the programs themselves, which their full paths still run.
"""

import os
from dataclasses import replace
from pathlib import Path

from telepresence.values import Launch

EXIT_CODE = 55  # Telepresence 1's
# They speak ICMP, or measure hops that a connection through the pod does not have.
WITHOUT_STREAMS = ("ping", "ping4", "ping6", "traceroute", "traceroute6", "tracepath", "mtr")
# They send datagrams, which the preloaded library alone leaves on the laptop.
WITH_DATAGRAMS = ("dig", "host", "nslookup")

_SCRIPT = """\
#!/bin/sh
echo "T: {name} cannot work with --method inject-tcp: {why}" >&2
exit {code}
"""
_NO_ICMP = "only TCP and UDP go to the pod, not ICMP; curl or nc -z HOST PORT try a connection"
_NO_DATAGRAMS = (
    "its questions would go to the laptop's name servers; getent hosts NAME asks the pod"
)


def put_substitutes(launch: Launch, folder: Path, *, datagrams: bool) -> Launch:
    """The launch with `folder`, which is filled, first in PATH."""
    reasons = dict.fromkeys(WITHOUT_STREAMS, _NO_ICMP)
    if not datagrams:
        reasons |= dict.fromkeys(WITH_DATAGRAMS, _NO_DATAGRAMS)
    folder.mkdir()
    for name, why in reasons.items():
        path = folder / name
        path.write_text(_SCRIPT.format(name=name, why=why, code=EXIT_CODE))
        path.chmod(0o755)
    before = launch.environ.get(b"PATH", os.fsencode(os.defpath))
    environ = launch.environ | {b"PATH": os.fsencode(folder) + b":" + before}
    program = str(folder / launch.argv[0]) if launch.argv[0] in reasons else launch.program
    return replace(launch, program=program, environ=environ)
