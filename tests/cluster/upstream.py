"""A name server of the test's own, which the cluster's DNS and this machine's programs may ask.

Called by: test_vpn_circles.py.
Owns: port 53 of one loopback address, and where the sandbox's DNS forwards to, until it is left.
Never: answers for a name that it was not told.
"""

import socketserver
import threading
from collections import Counter
from pathlib import Path

from dnslib import QTYPE, RR, A, DNSRecord

ADDRESS = "127.0.0.153"
FORWARD = Path("/run/telepresence-sandbox/upstream")  # sandbox/places.py


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class Upstream:
    """with Upstream() as upstream: upstream.records["a.example"] = "192.0.2.1", its TTL"""

    def __init__(self) -> None:
        self.records: dict[str, tuple[str, int]] = {}
        self.asked: Counter[str] = Counter()
        answer = self._answer

        class Datagram(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(answer(self.rfile.read()))

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(head := self.rfile.read(2)) == 2:
                    data = answer(self.rfile.read(int.from_bytes(head, "big")))
                    self.wfile.write(len(data).to_bytes(2, "big") + data)

        place = (ADDRESS, 53)
        self._servers = (socketserver.UDPServer(place, Datagram), Listener(place, Stream))
        self._threads = [threading.Thread(target=each.serve_forever) for each in self._servers]

    def __enter__(self) -> "Upstream":
        for thread in self._threads:
            thread.start()
        FORWARD.write_text(ADDRESS)
        return self

    def __exit__(self, *_: object) -> None:
        FORWARD.unlink()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def _answer(self, data: bytes) -> bytes:
        query = DNSRecord.parse(data)
        name = str(query.q.qname).rstrip(".").lower()
        self.asked[f"{name} {QTYPE[query.q.qtype]}"] += 1
        reply = query.reply()
        found = self.records.get(name)
        if found is None:
            reply.header.rcode = 3
        elif query.q.qtype == QTYPE.A:
            reply.add_answer(RR(name, QTYPE.A, ttl=found[1], rdata=A(found[0])))
        return bytes(reply.pack())
