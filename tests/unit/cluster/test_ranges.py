"""Each source of ranges, as answers of an API server, and their order."""

import asyncio
import ipaddress
from typing import Any

import pytest

from telepresence.cluster import ranges
from telepresence.cluster.api import ApiError
from telepresence.errors import ClusterError
from telepresence.values import Ranges

REFUSED = (
    'Service "x" is invalid: spec.clusterIPs: Invalid value: []string{"1.1.1.1"}: failed to '
    "allocate IP 1.1.1.1: the provided IP is not in the valid range. The range of valid IPs is "
    "10.96.0.0/16"
)
SERVER = "http://127.0.0.1:6443"


class Answers:
    """An Api that knows some paths; the others are forbidden."""

    def __init__(self, **known: Any) -> None:
        self.known = {path.replace("__", "/"): answer for path, answer in known.items()}
        self.namespace = "default"
        self.server = SERVER
        self.asked: list[tuple[str, str]] = []

    async def request(self, method: str, path: str, *_: Any, **__: str) -> Any:
        self.asked.append((method, path))
        for end, answer in self.known.items():
            if path.endswith(end) and (method == "GET") != end.startswith("POST"):
                return answer
        if method == "POST" and "POST" in self.known:
            raise ApiError(self.known["POST"], status=422, reason="Invalid")
        raise ApiError("forbidden", status=403, reason="Forbidden")


def observed(api: Answers) -> Ranges:
    return asyncio.run(ranges.observe_ranges(api))  # type: ignore[arg-type] # it asks only this


def nodes(*cidrs: str) -> Any:
    return {"items": [{"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}} for cidr in cidrs]}


def pod(*ips: str, host: bool = False, args: list[str] | None = None) -> Any:
    return {
        "spec": {"hostNetwork": host, "containers": [{"command": ["x"], "args": args or []}]},
        "status": {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]} if ips else {},
    }


def services(*ips: str) -> Any:
    return {"items": [{"spec": {"clusterIP": ip}} for ip in ips]}


def test_the_best_sources_come_first() -> None:
    found = observed(
        Answers(
            nodes=nodes("10.244.0.0/24", "10.244.1.0/24"),
            __pods={"items": [pod("10.9.9.9")]},
            v1__servicecidrs={"items": [{"spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/112"]}}]},
            services=services("10.1.1.1"),
        )
    )
    assert found.pods == ("10.244.0.0/24", "10.244.1.0/24")
    assert found.services == ("10.96.0.0/16", "fd00:96::/112")
    assert found.servers == ("127.0.0.1",)


def test_nodes_without_a_range_leave_it_to_the_pods_and_host_pods_do_not_count() -> None:
    pods = [pod("10.0.3.7", "fd00::7"), pod("10.0.3.9"), pod("192.168.1.4", host=True), pod()]
    api = Answers(nodes={"items": [{"spec": {}}]}, __pods={"items": pods}, POST=REFUSED)
    assert observed(api).pods == ("10.0.3.0/24", "fd00::/64")


def test_the_api_servers_flag_in_args_or_command() -> None:
    for words in (
        ["--service-cluster-ip-range=10.7.0.0/16,fd00:7::/112"],
        ["--service-cluster-ip-range", "10.7.0.0/16,fd00:7::/112"],
        ["kube-apiserver --service-cluster-ip-range=10.7.0.0/16,fd00:7::/112 --v=2"],
    ):
        found = ranges.take_flag([{"command": ["kube-apiserver"], "args": words}])
        assert list(map(str, found)) == ["10.7.0.0/16", "fd00:7::/112"]
        assert found == ranges.take_flag([{"command": words}])
    assert ranges.take_flag([{"command": ["x"]}]) == []


def test_kubeadms_config() -> None:
    text = "apiServer: {}\nnetworking:\n  dnsDomain: cluster.local\n  serviceSubnet: 10.8.0.0/16\n"
    api = Answers(kubeadm_config={}, nodes=nodes("10.244.0.0/24"), __pods={"items": []})
    api.known["kubeadm-config"] = {"data": {"ClusterConfiguration": text}}
    assert observed(api).services == ("10.8.0.0/16",)


def test_who_may_not_look_at_the_control_plane_is_asked_for_one_part_of_it() -> None:
    api = Answers(nodes=nodes("10.244.0.0/24"), POST=REFUSED)
    observed(api)
    assert [path for _, path in api.asked if "kube-system" in path] == [
        "/api/v1/namespaces/kube-system/pods"
    ]


def test_the_refusal_of_an_impossible_address_names_the_range() -> None:
    api = Answers(nodes=nodes("10.244.0.0/24"), POST=REFUSED)
    assert observed(api).services == ("10.96.0.0/16",)
    assert ("DELETE", "/api/v1/namespaces/default/services/x") not in api.asked


@pytest.mark.parametrize(
    ("cidrs", "asked"),
    [((), 2), (("10.244.0.0/24",), 1), (("fd00::/64",), 1), (("10.244.0.0/24", "fd00::/64"), 2)],
)
def test_a_service_is_asked_for_in_the_families_that_pods_have(
    cidrs: tuple[str, ...], asked: int
) -> None:
    api = Answers(POST=REFUSED, **({"nodes": nodes(*cidrs)} if cidrs else {}))
    assert observed(api).services == ("10.96.0.0/16",)
    assert [method for method, _ in api.asked].count("POST") == asked
    assert [path for _, path in api.asked].count("/api/v1/nodes") == 1


@pytest.mark.parametrize(("ips", "expected"), [
    (["10.96.0.1", "10.96.0.10", "None", "", "10.96.200.3"], ["10.96.0.0/16"]),
    (["10.96.0.1"], ["10.96.0.0/20"]),
    (["10.0.0.1", "172.20.0.1"], ["10.0.0.0/20", "172.20.0.0/20"]),
    (["fd00:96::1", "fd00:96::abcd"], ["fd00:96::/112"]),
])  # fmt: skip
def test_ranges_around_services(ips: list[str], expected: list[str]) -> None:
    found = ranges.around_services(services(*ips)["items"])
    assert list(map(str, found)) == expected
    for ip in filter(lambda ip: ip not in ("", "None"), ips):
        address = ipaddress.ip_address(ip)
        assert any(address.version == net.version and address in net for net in found)


def test_a_cluster_that_says_nothing() -> None:
    with pytest.raises(ClusterError, match="does not say which addresses"):
        observed(Answers())
