"""What answers in the pod's network: small servers on loopback, each of one protocol.

Called by: conftest.py, which puts them behind the pod's addresses.
Owns: its sockets and threads, until close().
Never: knows of any shim.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

from dnslib import QTYPE, RR, DNSRecord

DEADLINE_S = 20.0
Target = tuple[str, int]


class Service:
    """A server on loopback that runs `handle` for each connection."""

    def __init__(
        self,
        handle: Callable[[socket.socket], None],
        host: str = "127.0.0.1",
        door: socket.socket | None = None,
    ) -> None:
        self._door = door or socket.create_server((host, 0), backlog=512)
        self.address: Target = self._door.getsockname()[:2]
        self._handle = handle
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE_S)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._handle(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(DEADLINE_S)


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def speak_first(sock: socket.socket) -> None:
    """The server's first bytes come right behind the SOCKS reply, as with SSH or SMTP."""
    sock.sendall(b"220 hello\r\n")
    echo(sock)


def http(sock: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(4096)
        if not more:
            return
        head += more
    body = b"pods\n"
    sock.sendall(
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    )


def pass_on(target: Target) -> Callable[[socket.socket], None]:
    """A connection to `target` for each one."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def handle(near: socket.socket) -> None:
        with socket.create_connection(target, DEADLINE_S) as far:
            back = threading.Thread(target=copy, args=(far, near))
            back.start()
            copy(near, far)
            back.join(DEADLINE_S)

    return handle


def bound(address: Target) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    return sock


class DatagramService:
    """A UDP server on loopback that answers each datagram with what `handle` makes of it."""

    def __init__(self, handle: Callable[[bytes], bytes], sock: socket.socket | None = None) -> None:
        self._sock = sock or bound(("127.0.0.1", 0))
        self.address: Target = self._sock.getsockname()
        self._handle = handle
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            data, sender = self._sock.recvfrom(65536)
            if sender == self.address:
                return
            self._sock.sendto(self._handle(data), sender)

    def close(self) -> None:
        self._sock.sendto(b"", self.address)
        self._thread.join(DEADLINE_S)
        self._sock.close()


# What a cluster's name server says; the names are whole, as it knows no search list.
ZONE = """
web.default.svc.cluster.local. 30 IN A 198.18.0.1
redis.default.svc.cluster.local. 30 IN A 198.18.0.4
_http._tcp.web.default.svc.cluster.local. 30 IN SRV 0 100 80 web.default.svc.cluster.local.
example.test. 30 IN MX 10 mail.example.test.
example.test. 30 IN TXT "a word and another"
example.test. 30 IN A 198.18.0.1
1.0.18.198.in-addr.arpa. 30 IN PTR web.default.svc.cluster.local.
"""
LONG = "long.test"


def answer_names(data: bytes) -> bytes:
    """DNS over UDP; LONG does not fit there (TC), so that clients come again over TCP."""
    whole = answer_all_names(data)
    if len(whole) <= 512:
        return whole
    reply = DNSRecord.parse(data).reply()
    reply.header.tc = 1
    return bytes(reply.pack())


def answer_all_names(data: bytes) -> bytes:
    request = DNSRecord.parse(data)
    reply = request.reply()
    name, kind = str(request.q.qname).lower(), QTYPE[request.q.qtype]
    records = [record for record in RR.fromZone(ZONE) if str(record.rname).lower() == name]
    if name == LONG + ".":
        records = RR.fromZone("".join(f'{LONG}. 30 IN TXT "{n:0200}"\n' for n in range(5)))
    reply.header.rcode = 0 if records else 3
    for record in records:
        if QTYPE[record.rtype] == kind:
            reply.add_answer(record)
    return bytes(reply.pack())


def dns(sock: socket.socket) -> None:
    """RFC 1035 section 4.2.2."""
    reader = sock.makefile("rb")
    with reader:
        while len(size := reader.read(2)) == 2:
            answer = answer_all_names(reader.read(int.from_bytes(size)))
            sock.sendall(len(answer).to_bytes(2) + answer)
