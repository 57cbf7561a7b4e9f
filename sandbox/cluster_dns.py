"""Start the cluster's DNS, and ask it whether it answers.

Called by: cli.  Owns: the process `cluster-dns`.
Never: imports dnslib, which `up` may yet have to install."""

from __future__ import annotations

import socket
import struct

import places
import processes
from machine import wait_until

PROBE_NAME = f"kubernetes.default.svc.{places.CLUSTER_DOMAIN}"


def start() -> None:
    processes.start("cluster-dns", ["/usr/bin/python3", "-B", places.SOURCES / "dns_program.py"])
    wait_until(
        lambda: answers(places.NODE_ADDRESS, places.DNS_PORT),
        "the cluster's DNS does not answer",
        timeout_s=15,
        hint=f"see {places.logs()}/cluster-dns.log",
        or_raise=lambda: processes.check_alive("cluster-dns"),
    )


def answers(address: str, port: int, name: str = PROBE_NAME) -> bool:
    """True when the name has an address there.  A query by hand: RFC 1035 section 4.1."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    request = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + question + b"\0" + b"\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        try:
            asking.sendto(request, (address, port))
            reply = asking.recv(4096)
        except OSError:
            return False
    return reply[3] & 15 == 0 and reply[6:8] != b"\0\0"
