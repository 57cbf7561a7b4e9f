"""A pod with a name server, for programs that ask one themselves.

Called by: the tests of this folder.
Owns: a UDP socket for each association, until close().
Never: asks anybody else.
"""

import contextlib
import socket
import struct
from dataclasses import dataclass, field

import dnslib

from fake_pod import FakePod, Target, reply

NAME_SERVER: Target = ("0.0.0.0", 53)
HEAD = struct.Struct("!HBB4sH")  # RFC 1928 section 7, IPv4


@dataclass(kw_only=True)
class NamesPod(FakePod):
    """`records`: what the name server knows, full names; `names` is what the resolver finds."""

    records: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[tuple[str, str]] = []

    def _relay(self, sock: socket.socket, only: Target | None) -> None:
        assert only is None  # the supervisor's associations are for any target
        inlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inlet.bind(("127.0.0.1", 0))
        self._start(self._serve_datagrams, inlet)
        self._send(sock, reply(0, *inlet.getsockname()))
        with contextlib.suppress(OSError):
            sock.recv(1)
            inlet.shutdown(socket.SHUT_RDWR)

    def _serve_datagrams(self, inlet: socket.socket) -> None:
        with inlet, contextlib.suppress(OSError):
            while True:
                data, sender = inlet.recvfrom(65536)
                if not data:
                    return
                _, _, _, host, port = HEAD.unpack_from(data)
                if (socket.inet_ntoa(host), port) == NAME_SERVER:
                    inlet.sendto(data[: HEAD.size] + self._answer(data[HEAD.size :]), sender)

    def _answer(self, query: bytes) -> bytes:
        question = dnslib.DNSRecord.parse(query)
        name, kind = str(question.q.qname).rstrip("."), dnslib.QTYPE[question.q.qtype]
        self.asked.append((name, kind))
        answer = question.reply()
        if name not in self.records:
            answer.header.rcode = dnslib.RCODE.NXDOMAIN
        for address in self.records.get(name, []):
            if (":" in address) == (kind == "AAAA"):
                answer.add_answer(*dnslib.RR.fromZone(f"{name}. 30 IN {kind} {address}"))
        packed: bytes = answer.pack()
        return packed
