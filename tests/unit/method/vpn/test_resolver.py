"""What is asked of whom, how often, and what is kept."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

import dnslib
import pytest

from telepresence.errors import TunnelError
from telepresence.method.vpn import message, resolver
from telepresence.method.vpn.message import Labels, Question, make_query, split_name, take_question
from telepresence.method.vpn.names import Policy, take_pod_names
from telepresence.method.vpn.resolver import Resolver

POD = take_pod_names(
    "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n",
    "192.0.2.7 legacy\n",
    "default",
)
ZONE = {
    "redis.default.svc.cluster.local": "10.96.1.34",
    "web.default.svc.cluster.local": "10.96.1.35",
    "web-0.web.default.svc.cluster.local": "10.244.0.9",
    "www.dev.svc.cluster.local": "10.96.1.36",
    "db.rds.example": "192.0.2.200",
}
NAMESPACES = ("default.svc.cluster.local", "dev.svc.cluster.local")


class Cluster:
    """Answers from ZONE, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    async def ask(self, labels: Labels, kind: int) -> bytes:
        name = b".".join(labels).decode()
        self.asked.append(name)
        if self.broken:
            raise TunnelError("no tunnel")
        reply = dnslib.DNSRecord.parse(make_query(labels, kind)).reply()
        if name in ZONE and kind == message.A:
            reply.add_answer(*dnslib.RR.fromZone(f"{name}. 5 A {ZONE[name]}"))
            return bytes(reply.pack())
        if name not in ZONE and name not in NAMESPACES:
            reply.header.rcode = 3
        reply.add_auth(*dnslib.RR.fromZone("cluster.local. 5 SOA ns. admin. 1 2 3 4 5"))
        return bytes(reply.pack())


class Rig:
    def __init__(self, *, chained: bool = False, near: bool = False) -> None:
        self.cluster = Cluster()
        policy = Policy(
            pod=POD,
            ranges=(ipaddress.ip_network("10.96.0.0/16"),),
            also=frozenset({split_name("db.rds.example")}),
        )
        self.now_s = 1000.0
        self.resolver = Resolver(
            policy, self.cluster.ask, chained=chained, near=near, clock=lambda: self.now_s
        )

    async def look_up(self, name: str, kind: str = "A") -> str:
        """What a client would get; "laptop" when its own resolver's answer is the one."""
        question = ask(name, kind)
        answer = self.resolver.known(question)
        if answer is None and not self.resolver.theirs(question):
            answer = await self.resolver.resolve(question)
        if answer is None:
            return "laptop"
        parsed = dnslib.DNSRecord.parse(message.finish(question, answer, 65_535))
        if parsed.header.rcode:
            return str(dnslib.RCODE[parsed.header.rcode])
        wanted = [str(each.rdata) for each in parsed.rr if dnslib.QTYPE[each.rtype] == kind]
        return ",".join(wanted) or "none"


def ask(name: str, kind: str = "A") -> Question:
    question = take_question(bytes(dnslib.DNSRecord.question(name, kind).pack()))
    assert question is not None
    return question


def run(test: Callable[[Rig], Awaitable[None]], **how: bool) -> None:
    async def inside() -> None:
        await test(Rig(**how))

    asyncio.run(inside())


@pytest.mark.parametrize(("name", "answer"), [
    ("redis", "10.96.1.34"),
    ("redis.default", "10.96.1.34"),
    ("redis.default.svc", "10.96.1.34"),
    ("redis.default.svc.cluster.local", "10.96.1.34"),
    ("REDIS.default.svc.cluster.local.", "10.96.1.34"),
    ("web-0.web", "10.244.0.9"),
    ("web-0.web.default", "10.244.0.9"),
    ("www.dev", "10.96.1.36"),
    ("db.rds.example", "192.0.2.200"),
    ("legacy", "192.0.2.7"),
    ("nothing", "laptop"),
    ("nothing.dev", "laptop"),
    ("nothing.default.svc.cluster.local", "NXDOMAIN"),
    ("www.google.com", "laptop"),
    ("google.com", "laptop"),
])  # fmt: skip
def test_names(name: str, answer: str) -> None:
    async def test(rig: Rig) -> None:
        assert await rig.look_up(name) == answer
        assert await rig.look_up(name) == answer

    run(test)


def test_no_ipv6_address_is_no_data_and_not_an_a_record() -> None:
    async def test(rig: Rig) -> None:
        for name in ("redis", "redis.default.svc.cluster.local", "legacy"):
            assert await rig.look_up(name, "AAAA") == "none"

    run(test)


def test_a_public_name_costs_the_cluster_two_questions_for_its_last_label_and_no_more() -> None:
    async def test(rig: Rig) -> None:
        for name in ("google.com", "example.com", "www.google.com", "mail.google.com"):
            assert await rig.look_up(name) == "laptop"
        assert sorted(rig.cluster.asked) == ["com.default.svc.cluster.local",
                                             "com.svc.cluster.local"]  # fmt: skip

    run(test)


def test_an_answer_is_kept_for_its_ttl_which_counts_down() -> None:
    async def test(rig: Rig) -> None:
        await rig.look_up("redis")
        rig.now_s += 2
        kept = rig.resolver.known(ask("redis"))
        assert kept is not None
        assert {each.ttl for each in dnslib.DNSRecord.parse(kept).rr} == {3}
        rig.now_s += 3.1
        assert rig.resolver.known(ask("redis")) is None
        assert len(rig.cluster.asked) == 1

    run(test)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "REMEMBERED", 10)

    async def test(rig: Rig) -> None:
        for number in range(50):
            await rig.look_up(f"n{number}.default.svc.cluster.local")
            await rig.look_up(f"n.m{number}")
        assert len(rig.resolver._kept) <= 10
        assert len(rig.resolver._exists) <= 12

    run(test)


def test_what_the_laptop_does_not_know_may_be_the_clusters_after_all() -> None:
    """A namespace made a moment ago: that it does not exist is remembered, and wrong."""

    async def test(rig: Rig) -> None:
        assert await rig.look_up("api.new") == "laptop"
        ZONE["api.new.svc.cluster.local"] = "10.96.7.7"
        try:
            assert await rig.look_up("api.new") == "laptop"
            found = await rig.resolver.late(ask("api.new"))
        finally:
            del ZONE["api.new.svc.cluster.local"]
        assert found is not None
        assert "10.96.7.7" in str(dnslib.DNSRecord.parse(found))
        assert await rig.resolver.late(ask("no.where")) is None

    run(test)


def test_a_company_name_is_the_companys_even_when_a_search_domain_was_learned() -> None:
    async def test(rig: Rig) -> None:
        rig.resolver.suffixes = ((b"corp", b"example"),)
        assert await rig.look_up("redis.corp.example") == "laptop"
        assert not rig.cluster.asked
        found = await rig.resolver.late(ask("redis.corp.example"))  # the company says: no such name
        assert found is not None
        assert "10.96.1.34" in str(dnslib.DNSRecord.parse(found))

    run(test)


def test_nothing_is_taken_off_before_it_is_learned() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.look_up("redis.corp.example") == "laptop"
        assert await rig.resolver.late(ask("redis.corp.example")) is None

    run(test)


def test_probes_are_seen_and_answered() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.look_up("hellotelepresence-1.corp.example") == "NXDOMAIN"
        assert await rig.look_up("hellotelepresence-1") == "127.0.0.1"
        assert await rig.look_up("hellotelepresence-1", "AAAA") == "none"
        rig.resolver.suffixes = ((b"corp", b"example"),)
        assert await rig.look_up("hellotelepresence-2.corp.example") == "127.0.0.1"
        assert len(rig.resolver.probes) == 3

    run(test)


def test_a_broken_tunnel_is_servfail_and_leaves_public_names_alone() -> None:
    async def test(rig: Rig) -> None:
        rig.cluster.broken = True
        assert await rig.look_up("redis") == "SERVFAIL"
        assert await rig.look_up("redis.default.svc.cluster.local") == "SERVFAIL"
        assert await rig.look_up("www.google.com") == "laptop"

    run(test)


def test_a_question_that_comes_back_from_the_cluster_goes_to_the_laptop() -> None:
    async def test(rig: Rig) -> None:
        seen: list[str] = []

        async def forwards(labels: Labels, kind: int) -> bytes:
            seen.append(await rig.look_up(b".".join(labels).decode()))
            return await rig.cluster.ask(labels, kind)

        rig.resolver._ask = forwards
        assert await rig.look_up("db.rds.example") == "192.0.2.200"
        assert seen == ["laptop"]

    run(test, near=True)


def test_two_who_ask_the_same_of_a_cluster_elsewhere_get_one_answer() -> None:
    async def test(rig: Rig) -> None:
        answers = await asyncio.gather(*(rig.look_up("db.rds.example") for _ in range(3)))
        assert answers == ["192.0.2.200"] * 3
        assert rig.cluster.asked == ["db.rds.example"]
        rig.cluster.broken = True
        broken = await asyncio.gather(*(rig.look_up("db.rds.example", "MX") for _ in range(2)))
        assert broken == ["SERVFAIL"] * 2

    run(test)


def test_a_stream_that_breaks_under_several_is_tried_again_for_all_of_them() -> None:
    async def test(rig: Rig) -> None:
        begun = list[Callable[[bytes], None]]()
        name = "redis.default.svc.cluster.local"

        def begin(labels: Labels, kind: int, deliver: Callable[[bytes], None]) -> bool:
            begun.append(deliver)
            return True

        async def answers(labels: Labels, kind: int) -> bytes:
            await asyncio.sleep(0.02)  # a round trip
            return await rig.cluster.ask(labels, kind)

        async def breaks(labels: Labels, kind: int) -> bytes:
            rig.resolver._ask = answers
            await asyncio.sleep(0)
            raise TunnelError("this stream has ended")

        rig.resolver._ask = answers
        rig.resolver._begin = begin
        told: list[bytes] = []
        assert rig.resolver.begin(ask(name), told.append)
        waiting = [asyncio.ensure_future(rig.look_up(name)) for _ in range(3)]
        await asyncio.sleep(0)
        begun[0](b"")
        assert told == [b""]  # and server.py goes on with resolve()
        assert await asyncio.gather(*waiting, rig.look_up(name)) == ["10.96.1.34"] * 4
        assert rig.cluster.asked == [name]

        rig.resolver._ask = breaks
        found = await asyncio.gather(*(rig.look_up("web.default.svc") for _ in range(3)))
        assert found == ["10.96.1.35"] * 3
        assert len(rig.cluster.asked) == 2

    run(test)


def test_behind_another_session_its_names_are_asked_too() -> None:
    async def test(rig: Rig) -> None:
        assert await rig.look_up("nothing.other.svc.cluster.local") == "laptop"
        assert await rig.look_up("redis.default.svc.cluster.local") == "10.96.1.34"

    run(test, chained=True)


def test_old_news_is_renewed_without_waiting() -> None:
    async def test(rig: Rig) -> None:
        await rig.look_up("a.fresh")
        rig.now_s += resolver.KNOWN_S + 1
        assert rig.resolver.theirs(ask("a.fresh"))
        assert len(rig.cluster.asked) == 2
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(rig.cluster.asked) == 4

    run(test)


def test_the_quick_way_is_for_whole_names_and_keeps_what_it_learns() -> None:
    async def test(rig: Rig) -> None:
        begun: list[Callable[[bytes], None]] = []
        told: list[bytes] = []

        def begin(labels: Labels, kind: int, deliver: Callable[[bytes], None]) -> bool:
            begun.append(deliver)
            return True

        rig.resolver._begin = begin
        full = ask("redis.default.svc.cluster.local")
        assert rig.resolver.begin(full, told.append)
        assert not rig.resolver.begin(full, told.append)  # one is under way
        assert not rig.resolver.begin(ask("redis"), told.append)
        begun[0](await rig.cluster.ask(full.labels, full.kind))
        assert len(told) == 1
        assert rig.resolver.known(full) is not None
        other = ask("web.default.svc.cluster.local")
        assert rig.resolver.begin(other, told.append)
        begun[1](b"")  # the stream has ended
        assert told[1] == b""
        assert rig.resolver.known(other) is None

    run(test)
