"""Which names are the cluster's, and what they are called there.

Called by: resolver.py.
Owns: nothing.
Never: asks anybody; knows a socket.

Cluster names are: what is in the pod's /etc/hosts; names that end in the cluster's domain; `x`,
`x.svc`, and what a Service can be called with the search list of a pod: `service`, `host.service`,
`service.namespace`, `host.service.namespace`, each behind `_port._protocol` too (Kubernetes,
"DNS for Services and Pods"); the addresses of the proxied ranges; and --also-proxy's names.
"""

import ipaddress
import re
from dataclasses import dataclass, field

from telepresence.method.vpn.message import Labels, split_name

PROBE = b"hellotelepresence"
MOST_LABELS = 5  # _port._protocol.host.service.namespace; longer ones say .svc or the domain
_SVC = re.compile(r"(?P<namespace>[^.]+)\.svc\.(?P<domain>.+)")
_LOOPBACK = {(b"localhost",), (b"ip6-localhost",), (b"ip6-loopback",)}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNames:
    """What the pod knows about names."""

    nameservers: tuple[str, ...]
    namespace: bytes
    domain: Labels
    hosts: dict[Labels, tuple[Address, ...]] = field(default_factory=dict)

    @property
    def svc(self) -> Labels:
        return (b"svc", *self.domain)

    @property
    def own(self) -> Labels:
        return (self.namespace, *self.svc)


def take_pod_names(resolv_conf: str, hosts: str, namespace: str) -> PodNames:
    """resolv.conf(5) and hosts(5) of the pod."""
    servers, domain = [], split_name("cluster.local")
    for line in resolv_conf.splitlines():
        keyword, *words = line.split() or [""]
        if keyword == "nameserver" and words:
            servers.append(words[0])
        elif keyword == "search":
            for found in filter(None, map(_SVC.fullmatch, words)):
                namespace, domain = found["namespace"], split_name(found["domain"])
                break
    return PodNames(
        nameservers=tuple(servers),
        namespace=namespace.lower().encode(),
        domain=domain,
        hosts=_take_hosts(hosts),
    )


def _take_hosts(text: str) -> dict[Labels, tuple[Address, ...]]:
    found: dict[Labels, tuple[Address, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            continue
        for labels in map(split_name, names):
            if labels not in _LOOPBACK and not parsed.is_multicast and not parsed.is_loopback:
                found[labels] = (*found.get(labels, ()), parsed)
    return found


def reverse_address(labels: Labels) -> Address | None:
    """The address that a name for a PTR question stands for; None: another kind of name."""
    try:
        if labels[-2:] == (b"in-addr", b"arpa") and len(labels) == 6:
            return ipaddress.IPv4Address(b".".join(labels[3::-1]).decode())
        if labels[-2:] == (b"ip6", b"arpa") and len(labels) == 34:
            return ipaddress.IPv6Address(bytes.fromhex(b"".join(labels[31::-1]).decode()))
    except ValueError:
        pass
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do about a name."""

    whole: Labels | None = None  # ask the pod for this, and its answer is the answer
    own: Labels | None = None  # it may be this, if the last label is a Service of the namespace
    other: Labels | None = None  # it may be this, if the last label is a namespace


LAPTOP = Choice()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    pod: PodNames
    ranges: tuple[Network, ...]
    also: frozenset[Labels]

    def choose(self, labels: Labels) -> Choice:
        pod = self.pod
        size = len(pod.domain)
        if labels[-size:] == pod.domain or labels in self.also:
            return Choice(whole=labels)
        if not labels or len(labels) > MOST_LABELS:
            return self._reverse(labels)
        last = labels[-1]
        if last == b"arpa":
            return self._reverse(labels)
        if len(labels) == 1:
            return Choice(own=(*labels, *pod.own))
        if last == b"svc" or (last == b"pod" and len(labels) == 3):
            return Choice(whole=(*labels, *pod.domain))
        plain = [label for label in labels if not label.startswith(b"_")]
        return Choice(
            own=(*labels, *pod.own) if len(plain) <= 2 else None,
            other=(*labels, *pod.svc) if 2 <= len(plain) <= 3 else None,
        )

    def _reverse(self, labels: Labels) -> Choice:
        address = reverse_address(labels)
        if address is not None and any(address in network for network in self.ranges):
            return Choice(whole=labels)
        return LAPTOP
