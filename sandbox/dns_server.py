"""Answer DNS over UDP and TCP on one address, from memory where the same question came before.

Called by: dns_program, internet.  Owns: its sockets and the memory of answers.
Never: knows a record: a resolver function is handed in."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dnslib import EDNS0, QTYPE, DNSError, DNSHeader, DNSRecord

PLAIN_UDP_BYTES = 512  # RFC 1035 section 2.3.4
OUR_UDP_BYTES = 1232  # DNS flag day 2020: never fragmented
REMEMBERED = 20000
OVER_TCP = b"tcp"  # in front of a key: these answers are whole
SLOW_THREADS = 16  # forwarded questions wait in one of these, so that the others do not
NOERROR, FORMERR, SERVFAIL, NXDOMAIN = 0, 1, 2, 3


Client = tuple[str, int]
Ask = Callable[[bytes, bool], bytes]  # the request, over TCP? -> the reply


class Forward(Exception):
    """Raised by a resolver: this answer takes time and must not be remembered."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.ask = ask


Resolve = Callable[[DNSRecord], DNSRecord]


class DnsServer:
    def __init__(self, address: str, port: int, resolve: Resolve) -> None:
        self._resolve = resolve
        self._answers: dict[bytes, bytes] = {}
        self._slow = ThreadPoolExecutor(SLOW_THREADS)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._udp.bind((address, port))
        server = self

        class Connection(socketserver.StreamRequestHandler):
            timeout = 30

            def handle(self) -> None:
                server._serve_connection(self)

        self._tcp = _Listener((address, port), Connection)
        threading.Thread(target=self._tcp.serve_forever, daemon=True).start()

    def forget(self) -> None:
        """The records changed."""
        self._answers = {}

    def serve(self) -> None:
        """Serve datagrams for ever."""
        receive, send = self._udp.recvfrom, self._udp.sendto
        while True:
            try:
                request, client = receive(4096)
            except OSError:  # an ICMP error for an earlier answer
                continue
            key = make_key(request)
            known = self._answers.get(key) if key else None
            try:
                if known:
                    send(request[:2] + known, client)
                else:
                    self._answer_datagram(request, key, client)
            except OSError:
                continue

    def _answer_datagram(self, request: bytes, key: bytes | None, client: Client) -> None:
        answers = self._answers
        try:
            reply = self._reply(request, _udp_size(request))
        except Forward as forward:
            self._slow.submit(self._forward, forward.ask, request, client)
            return
        if reply is None:
            return
        if key and len(answers) < REMEMBERED:
            answers[key] = reply[2:]
        elif key:
            self._answers = {}
        self._udp.sendto(reply, client)

    def _forward(self, ask: Ask, request: bytes, client: Client) -> None:
        try:
            self._udp.sendto(ask(request, False), client)
        except (OSError, DNSError) as exc:
            print(f"forwarding for {client}: {exc}", flush=True)

    def _serve_connection(self, connection: socketserver.StreamRequestHandler) -> None:
        while len(head := connection.rfile.read(2)) == 2:
            size = struct.unpack("!H", head)[0]
            request = connection.rfile.read(size)
            if len(request) < size:
                return
            reply = self._answer_stream(request)
            if reply is None:
                return
            connection.wfile.write(struct.pack("!H", len(reply)) + reply)

    def _answer_stream(self, request: bytes) -> bytes | None:
        key = make_key(request)
        known = self._answers.get(OVER_TCP + key) if key else None
        if known:
            return request[:2] + known
        answers = self._answers  # of the records as they are now
        try:
            reply = self._reply(request, 65535)
        except Forward as forward:
            return forward.ask(request, True)
        if key and reply and len(answers) < REMEMBERED:
            answers[OVER_TCP + key] = reply[2:]
        return reply

    def _reply(self, request: bytes, most_bytes: int) -> bytes | None:
        """None for what deserves no answer: less than a header, or itself an answer."""
        if len(request) < 12 or request[2] & 0x80:
            return None
        try:
            query = DNSRecord.parse(request)
        except (DNSError, ValueError):
            return request[:2] + bytes([0x80 | request[2] & 1, FORMERR]) + bytes(8)
        if len(query.questions) != 1:
            return request[:2] + bytes([0x80 | request[2] & 1, FORMERR]) + bytes(8)
        reply = self._resolve(query)
        if any(record.rtype == QTYPE.OPT for record in query.ar):
            reply.add_ar(EDNS0(udp_len=OUR_UDP_BYTES))
        packed = bytes(reply.pack())
        if len(packed) > most_bytes:
            short = make_reply(query)
            short.header.tc = 1
            packed = bytes(short.pack())
        return packed


def make_reply(query: DNSRecord, rcode: int = NOERROR, *, authoritative: bool = True) -> DNSRecord:
    header = DNSHeader(
        id=query.header.id, qr=1, aa=int(authoritative), ra=1, rd=query.header.rd, rcode=rcode
    )
    return DNSRecord(header, q=query.q)


def make_key(request: bytes) -> bytes | None:
    """What decides the answer: flags, question, and the room for it.  None: too odd to remember."""
    if len(request) < 17 or request[2] & 0x80 or request[4:6] != b"\0\1":
        return None
    end = 12
    while end < len(request) and request[end]:
        if request[end] > 63:
            return None
        end += request[end] + 1
    end += 5
    if end > len(request):
        return None
    if request[10:12] == b"\0\0":
        return request[2:4] + request[12:end]
    # An OPT record's options (cookies) differ each time: only its presence and size count.
    return request[2:4] + request[12:end] + request[end : end + 5]


def _udp_size(request: bytes) -> int:
    key = make_key(request)
    if key is None or request[10:12] == b"\0\0":
        return PLAIN_UDP_BYTES
    if key[-5:-2] != b"\0\0\x29":  # root name, type OPT, then the size: RFC 6891 section 6.1.2
        return PLAIN_UDP_BYTES
    return max(PLAIN_UDP_BYTES, int.from_bytes(key[-2:], "big"))


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
