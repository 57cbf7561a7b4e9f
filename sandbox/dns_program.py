"""Be the cluster's DNS: a process on the node that follows Services, Endpoints and Namespaces.

Called by: cluster_dns.start() as a process.  Owns: its sockets, the watches.
Never: writes to the cluster."""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

from dnslib import AAAA, CNAME, PTR, QTYPE, RR, SOA, SRV, TXT, A, DNSBuffer, DNSRecord

import places
from api import Api, ApiRefused
from dns_server import NXDOMAIN, SERVFAIL, DnsServer, Forward, make_reply
from dns_zone import Srv, Zone, make_zone

TTL_S = 5  # as CoreDNS: a changed Service is seen that soon
UPSTREAM_TIMEOUT_S = 1.0
UPSTREAM_REST_S = 30.0  # after a timeout nobody else waits for that server
WATCH_S = 240.0
RETRY_S = 0.3
KINDS = ("services", "endpoints", "namespaces")
RANGES = (places.SERVICE_RANGE, places.CLUSTER_RANGE)
MOST_ALIASES = 8
MAKERS = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "PTR": PTR, "TXT": TXT}


class ClusterDns:
    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], dict[str, Any]]] = {k: {} for k in KINDS}
        self._lock = threading.Lock()
        self._zone = Zone(places.CLUSTER_DOMAIN)
        self._upstream = Upstream(_nameservers())
        self._server = DnsServer(places.NODE_ADDRESS, places.DNS_PORT, self._resolve)

    def run(self) -> None:
        for kind in KINDS:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()
        self._server.serve()

    def _resolve(self, query: DNSRecord) -> DNSRecord:
        zone = self._zone
        name = str(query.q.qname).rstrip(".").lower()
        if not zone.namespaces:  # nothing is listed yet: too early for "does not exist"
            return make_reply(query, SERVFAIL)
        if not zone.covers(name):
            raise Forward(self._upstream.ask)
        records = zone.look_up(name)
        if records is None:
            return self._with_soa(make_reply(query, NXDOMAIN))
        reply = make_reply(query)
        self._add_records(reply, str(query.q.qname), records, QTYPE[query.q.qtype])
        return reply if reply.rr else self._with_soa(reply)

    def _add_records(
        self, reply: DNSRecord, owner: str, records: dict[str, list[str | Srv]], kind: str
    ) -> None:
        """Follow an ExternalName through the cluster's names, then through the node's resolver."""
        zone = self._zone
        for _ in range(MOST_ALIASES):
            alias = records.get("CNAME")
            if not alias or kind == "CNAME":
                break
            target = str(alias[0])
            reply.add_answer(RR(owner, QTYPE.CNAME, ttl=TTL_S, rdata=CNAME(target)))
            if not zone.covers(target.lower()):
                for record in self._upstream.look_up(target, kind):
                    reply.add_answer(record)
                return
            owner, records = target, zone.look_up(target.lower()) or {}
        for each in records if kind == "ANY" else (kind,):
            number = getattr(QTYPE, each)
            for value in records.get(each, ()):
                reply.add_answer(RR(owner, number, ttl=TTL_S, rdata=_rdata(each, value)))
                if isinstance(value, Srv):
                    self._add_addresses(reply, value.target)

    def _add_addresses(self, reply: DNSRecord, target: str) -> None:
        found = self._zone.look_up(target) or {}
        if not any(str(record.rname).rstrip(".") == target for record in reply.ar):
            for address in found.get("A", ()):
                reply.add_ar(RR(target, QTYPE.A, ttl=TTL_S, rdata=A(str(address))))

    def _with_soa(self, reply: DNSRecord) -> DNSRecord:
        """Negative answers are kept for as long as the SOA says.  RFC 2308."""
        domain = self._zone.domain
        times = (1, 7200, 1800, 86400, TTL_S)
        soa = SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", times)
        reply.add_auth(RR(domain, QTYPE.SOA, ttl=TTL_S, rdata=soa))
        return reply

    # ---- the cluster's side

    def _follow(self, kind: str) -> None:
        api = Api(places.pki())
        while True:
            try:
                self._list_and_watch(api, kind)
            except (OSError, ApiRefused, ValueError, KeyError) as exc:
                print(f"{kind}: {exc}", flush=True)
                time.sleep(RETRY_S)

    def _list_and_watch(self, api: Api, kind: str) -> None:
        listing = api.get(f"/api/v1/{kind}")
        self._change(kind, {_key(item): item for item in listing["items"]})
        version = listing["metadata"]["resourceVersion"]
        path = f"/api/v1/{kind}?resourceVersion={version}"
        for event in api.watch(path, timeout_s=WATCH_S):
            item = event["object"]
            if event["type"] == "ERROR":
                return
            objects = dict(self._objects[kind])
            if event["type"] == "DELETED":
                objects.pop(_key(item), None)
            else:
                objects[_key(item)] = item
            self._change(kind, objects)

    def _change(self, kind: str, objects: dict[tuple[str, str], dict[str, Any]]) -> None:
        with self._lock:
            self._objects[kind] = objects
            namespaces = [name for _, name in self._objects["namespaces"]]
            services = self._objects["services"].values()
            endpoints = self._objects["endpoints"].values()
            self._zone = make_zone(places.CLUSTER_DOMAIN, services, endpoints, namespaces, RANGES)
            self._server.forget()


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class WholeSrv(SRV):  # type: ignore[misc]
    """With its target's whole name (RFC 2782), which Debian's dnslib shortens; Go insists on it."""

    def pack(self, buffer: DNSBuffer) -> None:
        buffer.pack("!HHH", self.priority, self.weight, self.port)
        buffer.encode_name_nocompress(self.target)


def _rdata(kind: str, value: str | Srv) -> Any:
    if isinstance(value, Srv):
        return WholeSrv(priority=0, weight=100, port=value.port, target=value.target)
    return MAKERS[kind](value)


def _nameservers() -> list[str]:
    words = (line.split() for line in Path("/etc/resolv.conf").read_text().splitlines())
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]


class Upstream:
    """The node's resolvers.  Where none answers, a name does not exist: the machine is cut off."""

    def __init__(self, servers: list[str]) -> None:
        self._servers = [server for server in servers if ":" not in server]
        self._resting_until: dict[str, float] = {}

    def ask(self, request: bytes, over_tcp: bool) -> bytes:
        servers = self._servers
        if places.UPSTREAM.exists():
            servers = [places.UPSTREAM.read_text().strip()]
        for server in servers:
            if self._resting_until.get(server, 0.0) > time.monotonic():
                continue
            try:
                reply = _ask_tcp(server, request) if over_tcp else _ask_udp(server, request)
            except OSError:
                self._resting_until[server] = time.monotonic() + UPSTREAM_REST_S
                continue
            return reply
        return bytes(make_reply(DNSRecord.parse(request), NXDOMAIN, authoritative=False).pack())

    def look_up(self, name: str, kind: str) -> list[RR]:
        reply = self.ask(bytes(DNSRecord.question(name, kind).pack()), False)
        return list(DNSRecord.parse(reply).rr)


def _ask_udp(server: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(UPSTREAM_TIMEOUT_S)
        asking.connect((server, 53))
        asking.send(request)
        while (reply := asking.recv(4096))[:2] != request[:2]:
            continue
        return reply


def _ask_tcp(server: str, request: bytes) -> bytes:
    with socket.create_connection((server, 53), timeout=UPSTREAM_TIMEOUT_S) as asking:
        asking.sendall(struct.pack("!H", len(request)) + request)
        with asking.makefile("rb") as reader:
            size = struct.unpack("!H", reader.read(2).ljust(2, b"\0"))[0]
            reply = reader.read(size)
    if not size or len(reply) < size:
        raise ConnectionError(f"{server} closed the connection")
    return reply


if __name__ == "__main__":
    ClusterDns().run()
