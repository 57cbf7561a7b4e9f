"""Be the world outside for laptops: the company's resolver and the Internet's web server.

Called by: laptop.start_internet() as a process in its own namespace.  Owns: ports 53 and 80 there.
Never: reaches anything, in the cluster or outside."""

from __future__ import annotations

import http.server
import sys
import threading

import cluster_dns
import places

TTL_S = 60
WEB = places.INTERNET_ADDRESS
COMPANY = f"{places.INTERNET_RANGE}.0.80"
ADDRESSES = {
    "www.internet.example": WEB,
    "internet.example": WEB,
    "corp.example": COMPANY,
    "intranet.corp.example": COMPANY,
    "wiki.corp.example": COMPANY,
}
ALIASES = {"home.corp.example": "intranet.corp.example"}
TEXTS = {"corp.example": "the company's own zone"}


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host = self.headers.get("Host", "nobody")
        body = f"Hello from the Internet, {host}{self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    if sys.argv[1:] == ["--probe"]:
        sys.exit(0 if cluster_dns.answers(places.COMPANY_DNS_ADDRESS, 53, "corp.example") else 1)
    from dnslib import CNAME, QTYPE, RR, TXT, A, DNSRecord

    from dns_server import NXDOMAIN, DnsServer, make_reply

    above = {name.split(".", n)[-1] for name in (*ADDRESSES, *ALIASES) for n in (1,)}

    def resolve(query: DNSRecord) -> DNSRecord:
        asked = str(query.q.qname)
        name, kind = asked.rstrip(".").lower(), QTYPE[query.q.qtype]
        known = {*ADDRESSES, *ALIASES, *above}
        reply = make_reply(query) if name in known else make_reply(query, NXDOMAIN)
        if name in ALIASES:
            reply.add_answer(RR(asked, QTYPE.CNAME, ttl=TTL_S, rdata=CNAME(ALIASES[name])))
            asked = name = ALIASES[name]
        if kind == "A" and name in ADDRESSES:
            reply.add_answer(RR(asked, QTYPE.A, ttl=TTL_S, rdata=A(ADDRESSES[name])))
        if kind == "TXT" and name in TEXTS:
            reply.add_answer(RR(asked, QTYPE.TXT, ttl=TTL_S, rdata=TXT(TEXTS[name])))
        return reply

    web = http.server.ThreadingHTTPServer(("", 80), Page)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    DnsServer(places.COMPANY_DNS_ADDRESS, 53, resolve).serve()


if __name__ == "__main__":
    main()
