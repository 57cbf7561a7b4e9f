"""The /etc/hosts of the container, from its own and that of the pod: texts in, a text out.

Called by: gateway/serve.py.
Owns: nothing.
Never: opens a file.
"""

import ipaddress


def _entries(hosts: str) -> list[tuple[str, list[str]]]:
    """Address and names of each line.  Source: hosts(5)."""
    words = [line.partition("#")[0].split() for line in hosts.splitlines()]
    return [(entry[0], entry[1:]) for entry in words if len(entry) > 1]


# What the kubelet calls multicast prefixes, in each pod's file.
_KUBELETS = ("fe00::0", "fe00::1", "fe00::2")


def _is_everywhere(address: str) -> bool:
    """Every machine has a line of it: loopback, and the multicast names of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_multicast or address in _KUBELETS


def merge_hosts(own: str, pods: str, hostname: str) -> str:
    """The container's own lines, then what the pod's file adds.

    The pod's own name stays the container's: a program that connects to itself means itself."""
    lines = [own.rstrip("\n")]
    for address, names in _entries(pods):
        kept = [name for name in names if name.partition(".")[0] != hostname]
        if kept and not _is_everywhere(address):
            lines.append("\t".join((address, *kept)))
    return "\n".join(lines) + "\n"


def has_ipv6(pods_hosts: str, hostname: str) -> bool:
    """The kubelet writes a line for each address of the pod, unless it is on its node's network."""
    return any(
        ":" in address and hostname in names and not _is_everywhere(address)
        for address, names in _entries(pods_hosts)
    )
