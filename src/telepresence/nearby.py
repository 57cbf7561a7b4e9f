"""Tell whether the cluster is on this machine, by what can be seen of it.

Called by: method/vpn/whole.py, doctor.
Owns: nothing.
Never: asks the cluster, or an engine of containers.

Such a cluster's DNS asks this machine's resolvers about names that are not its own, and with
vpn-tcp those questions come to us again.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable

# What each names its contexts; the first and the last also name the user's own profiles.
_CONTEXTS = re.compile(
    r"minikube|minishift|kind-.+|k3d-.+|docker-(desktop|for-desktop)|rancher-desktop|colima(-.+)?"
    r"|orbstack|microk8s"
)
# The network of containers or virtual machines: a node behind one is inside this machine.
BRIDGES = re.compile(r"(docker|podman|cni|virbr|vboxnet|vmnet|bridge1\d)\d+|br-[0-9a-f]{12}")


def is_own_address(text: str) -> bool:
    """Whether a socket here can have the address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((text, 0))
        except OSError:
            return False
    return True


def why_near(
    context: str,
    servers: Iterable[str],
    nodes: Iterable[str],
    *,
    own: Callable[[str], bool] = is_own_address,
    device: Callable[[str], str] = lambda _: "",
) -> str:
    """The reason in words, "" for a cluster elsewhere.

    `device` names the interface by which an address is reached without a gateway, or ""."""
    if _CONTEXTS.fullmatch(context):
        return f"the context is called {context}"
    for address in servers:
        if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            return f"its API server is at {address}"
        if own(address):
            return f"its API server's address {address} is this machine's"
    for address in (*nodes, *servers):
        if own(address):
            return f"its node's address {address} is this machine's"
        if BRIDGES.fullmatch(name := device(address)):
            return f"{address} is behind {name} of this machine"
    return ""
