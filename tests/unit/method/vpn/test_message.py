"""The codec against dnslib, which is another's."""

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepresence.method.vpn import message
from telepresence.method.vpn.message import Malformed, Question, Record, split_name, take_question

FULL = split_name("redis-master.default.svc.cluster.local")


def asked(name: str, kind: str = "A", *, size: int = 0) -> Question:
    record = dnslib.DNSRecord.question(name, kind)
    if size:
        record.add_ar(dnslib.EDNS0(udp_len=size))
    question = take_question(bytes(record.pack()))
    assert question is not None
    return question


def answer(*records: str, name: str = "redis-master.default.svc.cluster.local") -> bytes:
    reply = dnslib.DNSRecord.question(name).reply()
    for line in records:
        reply.add_answer(*dnslib.RR.fromZone(line))
    return bytes(reply.pack())


def test_a_question_is_read() -> None:
    question = asked("Redis-Master.default", "SRV", size=4096)
    assert question.labels == (b"redis-master", b"default")
    assert question.kind == message.SRV
    assert (question.udp_bytes, question.has_opt) == (4096, True)
    assert asked("x").udp_bytes == 512


@pytest.mark.parametrize("data", [
    b"", b"\0" * 12, bytes(dnslib.DNSRecord.question("a").reply().pack()),
    bytes(dnslib.DNSRecord.question("a").pack())[:-3],
    b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",  # a pointer in a question
    b"\0\1\x29\0\0\1\0\0\0\0\0\0\1a\0\0\6\0\1",  # an UPDATE
])  # fmt: skip
def test_what_is_no_plain_question(data: bytes) -> None:
    assert take_question(data) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    take_question(data)
    try:
        message.take_records(data)
    except Malformed:
        pass


LINES = [
    "redis-master.default.svc.cluster.local. 5 A 10.96.1.34",
    "x.default.svc.cluster.local. 30 SRV 0 100 80 web-0.web.default.svc.cluster.local.",
    "x.example. 7 MX 10 mail.x.example.",
    "x.example. 9 TXT \"some text\"",
    "x.example. 9 SOA ns.x.example. admin.x.example. 1 2 3 4 5",
    "9.0.244.10.in-addr.arpa. 5 PTR web-0.web.default.svc.cluster.local.",
    "x.example. 9 AAAA fd00::1",
]  # fmt: skip


def test_records_survive_as_dnslib_reads_them() -> None:
    before = answer(*LINES)
    answers, authority, additional = message.take_records(before)
    again = message.make_answer(asked("redis-master.default.svc.cluster.local"), 0, answers)
    assert dnslib.DNSRecord.parse(again).rr == dnslib.DNSRecord.parse(before).rr
    assert not authority
    assert not additional


def test_another_name_is_joined_by_a_cname() -> None:
    question = asked("redis-master.default")
    renamed = dnslib.DNSRecord.parse(message.rename(question, FULL, answer(LINES[0]))[0])
    assert str(renamed.q.qname) == "redis-master.default."
    assert [str(each.rname) for each in renamed.rr] == [
        "redis-master.default.",
        "redis-master.default.svc.cluster.local.",
    ]
    assert [dnslib.QTYPE[each.rtype] for each in renamed.rr] == ["CNAME", "A"]
    assert renamed.header.id == int.from_bytes(question.id, "big")
    assert all(each.ttl == 5 for each in renamed.rr)


def test_nodata_stays_nodata() -> None:
    reply = dnslib.DNSRecord.question("redis-master.default.svc.cluster.local", "AAAA").reply()
    reply.add_auth(*dnslib.RR.fromZone("cluster.local. 30 SOA ns. admin. 1 2 3 4 17"))
    question = asked("redis-master", "AAAA")
    renamed, lifetime_s = message.rename(question, FULL, bytes(reply.pack()))
    parsed = dnslib.DNSRecord.parse(renamed)
    assert not parsed.rr
    assert parsed.header.rcode == 0
    assert lifetime_s == 17


@pytest.mark.parametrize(("lines", "lifetime_s"), [
    ([LINES[0], "a. 3 A 1.2.3.4"], 3), ([], 0), (["a.example. 60 CNAME b.example."], 0),
])  # fmt: skip
def test_lifetimes(lines: list[str], lifetime_s: int) -> None:
    assert message.rename(asked("x"), FULL, answer(*lines))[1] == lifetime_s


def test_an_answer_for_the_very_name_is_passed_on_as_it_is() -> None:
    whole = answer(*LINES)
    full = asked("redis-master.default.svc.cluster.local")
    assert message.rename(full, FULL, whole) == (whole, 5)


def test_a_flat_answer_has_no_alias_that_would_have_to_be_followed() -> None:
    chain = answer("a. 5 CNAME b.", "b. 7 A 10.0.0.1", "b. 7 A 10.0.0.2")
    renamed, lifetime_s = message.rename(asked("x.corp"), FULL, chain, flat=True)
    found = [(str(each.rname), str(each.rdata)) for each in dnslib.DNSRecord.parse(renamed).rr]
    assert found == [("x.corp.", "10.0.0.1"), ("x.corp.", "10.0.0.2")]
    assert lifetime_s == 5


def test_an_answer_is_finished_for_its_client() -> None:
    kept = message.make_answer(asked("x"), 0, [Record(b"\1x\0", 1, 1, 5, b"\1\2\3\4")])
    small = asked("X", size=1232)._replace(id=b"\x12\x34", recursion=0)
    parsed = dnslib.DNSRecord.parse(message.finish(small, kept, 1232))
    assert parsed.header.id == 0x1234
    assert parsed.header.rd == 0
    assert str(parsed.q.qname) == "X."
    assert [dnslib.QTYPE[each.rtype] for each in parsed.ar] == ["OPT"]
    assert dnslib.DNSRecord.parse(message.finish(asked("x"), kept, 512)).ar == []


def test_an_answer_that_does_not_fit_says_so() -> None:
    many = [Record(b"\1x\0", 1, 1, 5, bytes([10, 0, 0, n])) for n in range(60)]
    kept = message.make_answer(asked("x"), 0, many)
    short = message.finish(asked("x"), kept, 512)
    parsed = dnslib.DNSRecord.parse(short)
    assert parsed.header.tc == 1
    assert len(short) < 512
    assert len(dnslib.DNSRecord.parse(message.finish(asked("x"), kept, 65_535)).rr) == 60


def test_where_the_ttls_are() -> None:
    kept = bytearray(answer(*LINES))
    for place in message.ttl_places(bytes(kept)):
        kept[place : place + 4] = (77).to_bytes(4, "big")
    assert {each.ttl for each in dnslib.DNSRecord.parse(bytes(kept)).rr} == {77}


def test_a_loop_of_pointers_is_refused() -> None:
    data = b"\0\1\x81\x80\0\0\0\1\0\0\0\0\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4"
    with pytest.raises(Malformed):
        message.take_records(data)


def test_what_may_be_passed_on_at_once() -> None:
    full = asked("Redis-Master.default.svc.cluster.local")
    whole = answer(*LINES)
    assert message.is_answer(full, whole)
    assert not message.is_answer(asked("other.default.svc.cluster.local"), whole)
    assert not message.is_answer(full, whole[:2] + bytes([whole[2] | 2]) + whole[3:])  # cut off
    assert not message.is_answer(full, whole[:10] + b"\0\1" + whole[12:])
    assert not message.is_answer(full, whole[:20])
    assert not message.is_answer(full, b"")
