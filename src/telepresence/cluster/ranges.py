"""Find the ranges of addresses that pods and Services have: one function a source, the first wins.

Called by: session.
Owns: nothing.
Never: creates anything: the one POST here is made to be refused.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from telepresence.cluster.api import Api, ApiError, Json
from telepresence.errors import ClusterError
from telepresence.values import Ranges

log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Source = Callable[[Api], Awaitable[list[Network]]]
T = TypeVar("T")

_FLAG = "--service-cluster-ip-range"
_SUBNET = re.compile(r"^\s*serviceSubnet:\s*\"?([^\s\"]+)", re.M)
# kube-apiserver, "the provided IP ... is not in the valid range. The range of valid IPs is X".
_VALID = re.compile(r"range of valid IPs is ([0-9a-fA-F.:/]+)")
_IMPOSSIBLE = {"IPv4": "1.1.1.1", "IPv6": "1::1"}
_WIDEST, _NARROWEST = 12, 20  # of IPv4 Services: kubeadm's default is /12, GKE's smallest /20


def _networks(texts: Iterable[str]) -> list[Network]:
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_network(text.strip(), strict=False))
    return list(dict.fromkeys(found))


def _addresses(texts: Iterable[str]) -> list[Network]:
    """Each as a network of itself alone; what is no address is left out."""
    return _networks(text for text in texts if text and text != "None")


_asked: "WeakKeyDictionary[Api, dict[object, asyncio.Future[Any]]]" = WeakKeyDictionary()


def _once(api: Api, ask: Callable[[Api], Coroutine[Any, Any, T]]) -> "asyncio.Future[T]":
    """What two want to know at the same time."""
    kept = _asked.setdefault(api, {})
    if ask not in kept:
        kept[ask] = asyncio.ensure_future(ask(api))
    return kept[ask]


async def _nodes(api: Api) -> Json:
    return await api.request("GET", "/api/v1/nodes")


async def _pods(api: Api) -> "tuple[list[Network], str]":
    return await _first(api, POD_SOURCES)


async def node_pod_ranges(api: Api) -> list[Network]:
    """Each node's podCIDRs."""
    nodes = await _once(api, _nodes)
    specs = [node["spec"] for node in nodes["items"]]
    return _networks(
        text for spec in specs for text in spec.get("podCIDRs") or [spec.get("podCIDR") or ""]
    )


def around_pods(pods: list[Json]) -> list[Network]:
    """A /24 or /64 around each pod that has an address of its own."""
    found: list[Network] = []
    for pod in pods:
        status = pod.get("status", {})
        if pod["spec"].get("hostNetwork") or "podIP" not in status:
            continue
        ips = [entry["ip"] for entry in status.get("podIPs") or [{"ip": status["podIP"]}]]
        found += [
            network.supernet(new_prefix=24 if network.version == 4 else 64)
            for network in _addresses(ips)
        ]
    return list(dict.fromkeys(found))


async def pod_address_ranges(api: Api) -> list[Network]:
    """Around the pods of all namespaces, or of ours when the others may not be listed."""
    try:
        pods = await api.request("GET", "/api/v1/pods")
    except ApiError:
        pods = await api.request("GET", f"/api/v1/namespaces/{api.namespace}/pods")
    return around_pods(pods["items"])


async def service_cidr_objects(api: Api) -> list[Network]:
    """ServiceCIDR, in every Kubernetes since 1.33; before, it had to be switched on."""
    listed = await api.request("GET", "/apis/networking.k8s.io/v1/servicecidrs")
    return _networks(text for item in listed["items"] for text in item["spec"]["cidrs"])


def take_flag(containers: list[Json]) -> list[Network]:
    """kube-apiserver's flag, in `command` or in `args`, with `=` or as the next word."""
    for container in containers:
        words = [*container.get("command", []), *container.get("args", [])]
        words = [part for word in words for part in (shlex.split(word) if " " in word else [word])]
        for word, following in zip(words, [*words[1:], ""], strict=True):
            flag, _, value = word.partition("=")
            if flag == _FLAG:
                return _networks((value or following).split(","))
    return []


async def api_server_flags(api: Api) -> list[Network]:
    """The API server's own command line, where it runs as a pod."""
    listed = await api.request(
        "GET", "/api/v1/namespaces/kube-system/pods", labelSelector="component=kube-apiserver"
    )
    return take_flag([c for pod in listed["items"] for c in pod["spec"]["containers"]])


async def kubeadm_config(api: Api) -> list[Network]:
    path = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
    text = str((await api.request("GET", path))["data"].get("ClusterConfiguration", ""))
    match = _SUBNET.search(text)
    return _networks(match[1].split(",")) if match else []


async def control_plane(api: Api) -> list[Network]:
    """Of both.  Who may not look at the pods there is not asked about the rest."""
    return await api_server_flags(api) or await kubeadm_config(api)


async def refused_service(api: Api) -> list[Network]:
    """Ask for a Service with an address that cannot be: the refusal names the range.

    Of the families that the pods have, if that is known."""
    path = f"/api/v1/namespaces/{api.namespace}/services"
    pods, _ = await _once(api, _pods)
    families = {f"IPv{each.version}" for each in pods} or _IMPOSSIBLE.keys()
    found: list[Network] = []
    for family in sorted(families):
        address = _IMPOSSIBLE[family]
        body: Json = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"generateName": "telepresence-range-"},
            "spec": {"clusterIP": address, "ports": [{"port": 1}], "ipFamilies": [family]},
        }
        try:
            made = await api.request("POST", path, body)
        except ApiError as exc:
            # Where there is one family, the other's address is refused with the same range.
            if match := _VALID.search(str(exc)):
                found += [each for each in _networks([match[1]]) if each not in found]
            continue
        await api.request("DELETE", f"{path}/{made['metadata']['name']}")
        found += _networks([f"{address}/16" if family == "IPv4" else f"{address}/112"])
    return found


def around_services(services: list[Json]) -> list[Network]:
    """One network around all Services when that is plausible, else one around each."""
    ips = [
        text
        for service in services
        for text in service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP", "")]
    ]
    found: list[Network] = []
    for version, widest, narrowest in ((4, _WIDEST, _NARROWEST), (6, 108, 112)):
        own = [network for network in _addresses(ips) if network.version == version]
        if not own:
            continue
        whole = own[0].supernet(new_prefix=narrowest)
        while not all(each.subnet_of(whole) for each in own):  # type: ignore[arg-type] # one version
            whole = whole.supernet()
        if whole.prefixlen >= widest:
            found.append(whole)
        else:
            found += list(dict.fromkeys(each.supernet(new_prefix=narrowest) for each in own))
    return found


async def service_addresses(api: Api) -> list[Network]:
    try:
        services = await api.request("GET", "/api/v1/services")
    except ApiError:
        services = await api.request("GET", f"/api/v1/namespaces/{api.namespace}/services")
    return around_services(services["items"])


POD_SOURCES: tuple[Source, ...] = (node_pod_ranges, pod_address_ranges)
SERVICE_SOURCES: tuple[Source, ...] = (
    service_cidr_objects,
    control_plane,
    refused_service,
    service_addresses,
)


async def _first(api: Api, sources: tuple[Source, ...]) -> tuple[list[Network], str]:
    for source in sources:
        try:
            found = await source(api)
        except (ApiError, KeyError, TypeError) as exc:  # not allowed, or not as expected
            log.info("%s: %s", source.__name__, exc)
            continue
        if found:
            return found, source.__name__
    return [], "nothing"


async def server_addresses(server: str) -> tuple[str, ...]:
    host = urlsplit(server).hostname or ""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        found = await loop.getaddrinfo(host, None)
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ()


async def node_addresses(api: Api) -> tuple[str, ...]:
    """None when nodes may not be listed."""
    with contextlib.suppress(ApiError, KeyError):
        nodes = await _once(api, _nodes)
        every = [entry for node in nodes["items"] for entry in node["status"]["addresses"]]
        return tuple(each["address"] for each in every if each["type"] == "InternalIP")
    return ()


async def observe_ranges(api: Api) -> Ranges:
    """ClusterError: nothing tells which addresses are the cluster's."""
    (pods, pod_source), (services, service_source), servers, nodes = await asyncio.gather(
        _once(api, _pods),
        _first(api, SERVICE_SOURCES),
        server_addresses(api.server),
        node_addresses(api),
    )
    log.info("pods: %s (%s); Services: %s (%s)", json.dumps(list(map(str, pods))), pod_source,
             json.dumps(list(map(str, services))), service_source)  # fmt: skip
    if not pods and not services:
        raise ClusterError(
            "the cluster does not say which addresses its pods and Services have",
            hint="ask for the right to list pods or Services, or name ranges with --also-proxy",
        )
    return Ranges(
        pods=tuple(map(str, pods)), services=tuple(map(str, services)), servers=servers, nodes=nodes
    )
