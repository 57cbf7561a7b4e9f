"""Whose name it is."""

import ipaddress

import pytest

from telepresence.method.vpn.message import split_name
from telepresence.method.vpn.names import LAPTOP, Choice, PodNames, Policy, take_pod_names

RESOLV_CONF = """\
search shop.svc.example.org svc.example.org example.org corp.example
nameserver 10.96.0.10
options ndots:5
"""
HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-mcastprefix
10.244.0.7\tproxy
# Entries added by HostAliases.
192.0.2.7\tdatabase.company legacy # a comment
fd00::7 legacy
"""


def names() -> PodNames:
    return take_pod_names(RESOLV_CONF, HOSTS, "default")


def policy() -> Policy:
    return Policy(
        pod=names(),
        ranges=(ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:96::/112")),
        also=frozenset({split_name("db.rds.example")}),
    )


def test_the_pods_files_are_read() -> None:
    pod = names()
    assert pod.nameservers == ("10.96.0.10",)
    assert (pod.namespace, pod.domain) == (b"shop", (b"example", b"org"))
    assert pod.hosts[b"database", b"company"] == (ipaddress.ip_address("192.0.2.7"),)
    assert len(pod.hosts[(b"legacy",)]) == 2
    assert (b"localhost",) not in pod.hosts


def test_without_a_search_list_the_plans_namespace_counts() -> None:
    pod = take_pod_names("nameserver 10.96.0.10\n", "", "Team")
    assert (pod.namespace, pod.domain) == (b"team", (b"cluster", b"local"))


@pytest.mark.parametrize(("name", "whole"), [
    ("redis.shop.svc.example.org", "redis.shop.svc.example.org"),
    ("redis.shop.svc", "redis.shop.svc.example.org"),
    ("10-244-0-7.shop.pod", "10-244-0-7.shop.pod.example.org"),
    ("_http._tcp.redis.shop.svc", "_http._tcp.redis.shop.svc.example.org"),
    ("db.rds.example", "db.rds.example"),
    ("10.0.96.10.in-addr.arpa", "10.0.96.10.in-addr.arpa"),
    ("a.0.0.0." + "0." * 20 + "6.9.0.0.0.0.d.f.ip6.arpa",
     "a.0.0.0." + "0." * 20 + "6.9.0.0.0.0.d.f.ip6.arpa"),
])  # fmt: skip
def test_names_that_are_the_clusters_for_certain(name: str, whole: str) -> None:
    assert policy().choose(split_name(name)) == Choice(whole=split_name(whole))


@pytest.mark.parametrize(("name", "own", "other"), [
    ("redis", "redis.shop.svc.example.org", None),
    ("redis.shop", "redis.shop.shop.svc.example.org", "redis.shop.svc.example.org"),
    ("web-0.web.shop", None, "web-0.web.shop.svc.example.org"),
    ("_http._tcp.redis", "_http._tcp.redis.shop.svc.example.org", None),
    ("_http._tcp.redis.shop", "_http._tcp.redis.shop.shop.svc.example.org",
     "_http._tcp.redis.shop.svc.example.org"),
])  # fmt: skip
def test_names_that_may_be_the_clusters(name: str, own: str | None, other: str | None) -> None:
    assert policy().choose(split_name(name)) == Choice(
        own=own and split_name(own), other=other and split_name(other)
    )


@pytest.mark.parametrize("name", [
    "", "a.b.c.d.e.example", "1.2.0.192.in-addr.arpa", "x.in-addr.arpa", "b._dns-sd._udp.arpa",
    "300.0.96.10.in-addr.arpa", "one.two.three.four",
])  # fmt: skip
def test_names_that_are_not(name: str) -> None:
    assert policy().choose(split_name(name)) == LAPTOP
