"""What the laptop has inside and around the cluster's ranges."""

import asyncio
import ipaddress

from telepresence.method.vpn import routes

LISTED = [
    {"dst": "default", "gateway": "192.168.1.1", "dev": "wlan0"},
    {"dst": "192.168.1.0/24", "dev": "wlan0"},
    {"dst": "10.96.7.0/24", "dev": "tun0"},
    {"dst": "10.0.0.0/9", "dev": "tun1"},
    {"dst": "0.0.0.0/1", "dev": "tun0"},
    {"dst": "192.0.2.1", "dev": "eth0"},
    {"dst": "fe80::/64", "dev": "wlan0"},
    {"type": "unreachable", "dst": "10.99.0.0/16"},
]
SERVICES = ipaddress.ip_network("10.96.0.0/16")
PODS = ipaddress.ip_network("10.244.0.0/16")


def test_routes_are_read() -> None:
    found = {str(network): device for network, device in routes.take_routes(LISTED).items()}
    assert found == {
        "192.168.1.0/24": "wlan0",
        "10.96.7.0/24": "tun0",
        "10.0.0.0/9": "tun1",
        "192.0.2.1/32": "eth0",
        "fe80::/64": "wlan0",
    }


def test_inside_and_around() -> None:
    own = routes.take_routes(LISTED)
    assert routes.inside([SERVICES, PODS], own) == {ipaddress.ip_network("10.96.7.0/24"): "tun0"}
    assert routes.around([SERVICES, PODS], own) == {
        SERVICES: (ipaddress.ip_network("10.0.0.0/9"), "tun1")
    }


def test_this_machines_routes_can_be_read() -> None:
    assert all(network.prefixlen >= 8 for network in asyncio.run(routes.observe_routes()))


def test_ranges_with_holes() -> None:
    hole = ipaddress.ip_network("10.96.128.0/17")
    six = ipaddress.ip_network("fd00::/64")
    assert routes.without([SERVICES, PODS, six], [hole, PODS]) == (
        ipaddress.ip_network("10.96.0.0/17"),
        six,
    )
    assert routes.without([hole], [SERVICES]) == ()
    assert routes.without([hole], []) == (hole,)


def test_the_device_of_an_address() -> None:
    own = routes.take_routes(LISTED)
    assert routes.device_of("10.96.7.9", own) == "tun0"
    assert routes.device_of("10.5.0.1", own) == "tun1"
    assert routes.device_of("203.0.113.1", own) == ""
    assert routes.device_of("no address", own) == ""


def test_a_range_within_a_kept_network_is_none() -> None:
    wide = ipaddress.ip_network("10.0.0.0/8")
    six = ipaddress.ip_network("fd00::/8")
    assert routes.outside([SERVICES, six], [wide]) == (six,)
    assert routes.outside([SERVICES], [ipaddress.ip_network("10.96.7.0/24")]) == (SERVICES,)
