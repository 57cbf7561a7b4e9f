"""Runs privileged.py as on macOS: sshuttle takes its Mac's side, and a kernel answers DIOCNATLOOK.

Called by: firewall.py, in privileged.py's place (pf_folder.py).
Owns: nothing.
Never: knows what telepresence makes of an answer.  The kernel is Linux's: what its connection
tracking has of the redirected connection, in the bytes that xnu's bsd/net/pfvar.h prescribes.
"""

import os
import re
import runpy
import socket
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

assert subprocess  # it looks at the platform when it is imported
# struct pfioc_natlook: four addresses of 16 bytes, four ports in 4 bytes each, af, proto,
# proto_variant, direction: 84 bytes.  _IOWR('D', 23): IOC_INOUT 0xc0000000.
DIOCNATLOOK = 0xC0000000 | 84 << 16 | ord("D") << 8 | 23
DADDR, RDADDR, SPORT, DPORT, RDPORT, AF = 16, 48, 64, 68, 76, 80
PF_OUT = 2
TRACKED = re.compile(
    r"tcp .*?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) .*?"
    r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)"
)


def packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def ioctl(fd: int, number: int, data: Any) -> None:
    asked = bytes(data)
    family, protocol, _, direction = asked[AF:]
    assert (fd, number, len(asked), protocol, direction) == (DEVICE, DIOCNATLOOK, 84, 6, PF_OUT)
    size = 4 if family == socket.AF_INET else 16
    (sport,), (dport,) = (struct.unpack_from("!H", asked, place) for place in (SPORT, DPORT))
    ours = asked[:size], sport, asked[DADDR : DADDR + size], dport
    for line in Path("/proc/net/nf_conntrack").read_text().splitlines():
        if found := TRACKED.search(line):
            _, to, _, at, source, program, port, program_port = found.groups()
            if (packed(program), int(program_port), packed(source), int(port)) == ours:
                data[RDADDR : RDADDR + size] = packed(to)
                data[RDPORT : RDPORT + 2] = struct.pack("!H", int(at))
                return
    raise FileNotFoundError(2, "no state")  # ENOENT


DEVICE = os.open(os.devnull, os.O_RDWR)
sys.platform = "darwin"
sys.path.append(sys.argv[2])
from sshuttle.methods import pf  # noqa: E402 # as on macOS

assert type(pf.pf).__name__ == "Darwin"
pf._pf_fd = DEVICE
pf.ioctl = ioctl
os.environ["PATH"] = f"{Path(__file__).parent}:{os.environ['PATH']}"  # sudo has its own
found = find_spec("telepresence.method.vpn.privileged")
assert found is not None
assert found.origin is not None
runpy.run_path(found.origin, run_name="__main__")
