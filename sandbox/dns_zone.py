"""Hold the cluster's DNS records as the Kubernetes DNS specification (1.1.0) lays them down.

Called by: dns_program.  Owns: nothing; a zone is made anew from the objects and never changed.
Never: knows a socket, a clock or the API server."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

SPECIFICATION = "1.1.0"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Srv:
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Zone:
    """Records by lower-case name without the last dot; A, PTR, CNAME, TXT values are text."""

    domain: str
    records: dict[str, dict[str, list[str | Srv]]] = field(default_factory=dict)
    above: set[str] = field(default_factory=set)
    namespaces: frozenset[str] = frozenset()
    reverse_zones: tuple[str, ...] = ()

    def covers(self, name: str) -> bool:
        zones = (self.domain, *self.reverse_zones)
        return name in self.records or any(name == z or name.endswith("." + z) for z in zones)

    def look_up(self, name: str) -> dict[str, list[str | Srv]] | None:
        """The name's records by type, {} for a name that exists without any, None for NXDOMAIN."""
        found = self.records.get(name)
        if found is not None:
            return found
        if name in self.above:
            return {}
        return self._pod_record(name)

    def _pod_record(self, name: str) -> dict[str, list[str | Srv]] | None:
        """1-2-3-4.NAMESPACE.pod.DOMAIN is 1.2.3.4, whether such a pod runs or not."""
        labels = name.removesuffix("." + self.domain).split(".")
        if len(labels) != 3 or labels[2] != "pod" or labels[1] not in self.namespaces:
            return None
        try:
            return {"A": [str(ipaddress.IPv4Address(labels[0].replace("-", ".")))]}
        except ValueError:
            return None

    def _add(self, name: str, kind: str, value: str | Srv) -> None:
        values = self.records.setdefault(name.lower(), {}).setdefault(kind, [])
        if value not in values:
            values.append(value)


def make_zone(
    domain: str,
    services: Iterable[Object],
    endpoints: Iterable[Object],
    namespaces: Iterable[str],
    ranges: Iterable[str],
) -> Zone:
    zone = Zone(
        domain, namespaces=frozenset(namespaces), reverse_zones=tuple(map(_reverse_zone, ranges))
    )
    zone._add(f"dns-version.{domain}", "TXT", SPECIFICATION)
    by_name = {_key(item): item for item in endpoints}
    for service in services:
        _add_service(zone, service, by_name.get(_key(service)))
    for namespace in zone.namespaces:
        zone.above.add(f"{namespace}.svc.{domain}")
        zone.above.add(f"{namespace}.pod.{domain}")
    zone.above.update((domain, f"svc.{domain}", f"pod.{domain}", *zone.reverse_zones))
    for name in zone.records:
        parts = name.split(".")
        if zone.covers(name):
            zone.above.update(".".join(parts[i:]) for i in range(1, len(parts) - 1))
    return zone


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _reverse_zone(range_: str) -> str:
    octets = str(ipaddress.ip_network(range_).network_address).split(".")[:2]
    return ".".join(reversed(octets)) + ".in-addr.arpa"


def _reverse_name(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _add_service(zone: Zone, service: Object, endpoints: Object | None) -> None:
    namespace, name = _key(service)
    full = f"{name}.{namespace}.svc.{zone.domain}"
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        zone._add(full, "CNAME", spec["externalName"].rstrip("."))
        return
    address = spec.get("clusterIP")
    if address and address != "None":
        zone._add(full, _kind(address), address)
        zone._add(_reverse_name(address), "PTR", full)
        for port in spec.get("ports", []):
            if port.get("name"):
                zone._add(_srv_name(port, full), "SRV", Srv(port["port"], full))
        return
    if address == "None":
        zone.above.add(full)  # a headless Service without endpoints exists, and has no records
        for ready, port in _pairs(endpoints):
            _add_endpoint(zone, full, ready, port)


def _pairs(endpoints: Object | None) -> Iterator[tuple[Object, Object | None]]:
    for subset in (endpoints or {}).get("subsets") or []:
        for ready in subset.get("addresses") or []:
            for port in subset.get("ports") or [None]:
                yield ready, port


def _add_endpoint(zone: Zone, full: str, ready: Object, port: Object | None) -> None:
    address = ready["ip"]
    label = ready.get("hostname") or address.replace(".", "-").replace(":", "-")
    target = f"{label}.{full}"
    zone._add(full, _kind(address), address)
    zone._add(target, _kind(address), address)
    if ready.get("hostname"):
        zone._add(_reverse_name(address), "PTR", target)
    if port and port.get("name"):
        zone._add(_srv_name(port, full), "SRV", Srv(port["port"], target))


def _srv_name(port: Object, full: str) -> str:
    return f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{full}"


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"
