"""What the program of volumes.py does inside a session: read files and a stream, and say how fast.

Called by: volumes.py, as the session's command.
Owns: nothing.
Never: compares; volumes.py does.
"""

import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["TELEPRESENCE_ROOT"])
SOURCE = ("bench.default", 7019)
MB = 10**6


def small() -> float:
    """Seconds to list a directory and read all that is in it, one file after the other."""
    began = time.monotonic()
    read = [file.read_bytes() for file in (ROOT / "config").iterdir() if file.is_file()]
    assert len(read) == 1000, len(read)
    return time.monotonic() - began


def large(size: int) -> float:
    """MB/s of a file that the kernel has not kept."""
    file = ROOT / "scratch" / "large"
    if not file.exists() or file.stat().st_size != size:
        file.write_bytes(os.urandom(MB) * (size // MB))
        time.sleep(2)  # as long as sshfs may show the old size
    began = time.monotonic()
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(buffer):
            pass
    return size / MB / (time.monotonic() - began)


def stream(size: int) -> float:
    """MB/s of one connection through the same tunnel."""
    with socket.create_connection(SOURCE) as sock:
        sock.sendall(struct.pack("!Q", size))
        began, left = time.monotonic(), size
        while left:
            left -= sock.recv_into(buffer, min(left, len(buffer)))
        return size / MB / (time.monotonic() - began)


buffer = bytearray(1 << 20)
for line in sys.stdin:
    do, *arguments = json.loads(line)
    print(
        json.dumps({"small": small, "large": large, "stream": stream}[do](*arguments)), flush=True
    )
