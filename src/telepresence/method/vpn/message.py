"""DNS messages: bytes in, values out, and back (RFC 1035, RFC 6891).

Called by: the other modules of method/vpn that concern names.
Owns: nothing.
Never: knows a socket, a clock or a policy.
"""

import struct
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 15, 28, 33, 41
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
PLAIN_UDP_BYTES = 512  # RFC 1035 section 2.3.4
OUR_UDP_BYTES = 1232  # DNS flag day 2020: never fragmented
HEADER_BYTES = 12
_NAMED = {NS: 0, CNAME: 0, PTR: 0, MX: 2, SRV: 6}  # where in the data a name begins

Labels = tuple[bytes, ...]  # lower-case, without the root


class Malformed(ValueError):
    """Not a message of DNS."""


class Question(NamedTuple):
    """A query with its one question."""

    id: bytes
    recursion: int  # the RD bit, where the header has it
    labels: Labels
    kind: int
    wire: bytes  # the question as it was asked, in its own case
    udp_bytes: int  # room for an answer
    has_opt: bool


class Record(NamedTuple):
    """A resource record, names in it uncompressed."""

    owner: bytes
    kind: int
    group: int  # its class
    ttl_s: int
    data: bytes


def take_question(data: bytes) -> Question | None:
    """None for what is no plain query with one question."""
    if len(data) < HEADER_BYTES + 5 or data[2] & 0xF8 or data[4:6] != b"\0\1":
        return None
    labels: list[bytes] = []
    at = HEADER_BYTES
    try:
        while size := data[at]:
            if size > 63:
                return None
            labels.append(data[at + 1 : at + 1 + size])
            at += size + 1
    except IndexError:
        return None
    end = at + 5
    if end > len(data) or at - HEADER_BYTES > 254:
        return None
    room, has_opt = PLAIN_UDP_BYTES, False
    # The OPT record is the first additional one in all that resolvers send: root name, type, size.
    if data[6:10] == b"\0\0\0\0" and data[10:12] != b"\0\0" and data[end : end + 3] == b"\0\0\x29":
        has_opt = True
        room = max(room, int.from_bytes(data[end + 3 : end + 5], "big"))
    return Question(
        data[:2], data[2] & 1, tuple(label.lower() for label in labels),
        int.from_bytes(data[at + 1 : at + 3], "big"), data[HEADER_BYTES:end], room, has_opt,
    )  # fmt: skip


def make_name(labels: Labels) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def split_name(text: str) -> Labels:
    return tuple(label.encode() for label in text.lower().strip(".").split(".") if label)


def make_query(labels: Labels, kind: int, id: int = 0) -> bytes:  # noqa: A002 # RFC 1035's word
    wire = make_name(labels) + struct.pack("!HH", kind, 1)
    return struct.pack("!6H", id, 0x0100, 1, 0, 0, 0) + wire


def rcode(answer: bytes) -> int:
    return answer[3] & 15


def _take_name(data: bytes, at: int) -> tuple[bytes, int]:
    """A name, uncompressed, and where the next thing begins."""
    name, end = b"", 0
    while True:
        size = data[at]
        if size & 0xC0 == 0xC0:
            end = end or at + 2
            before, at = at, (size & 0x3F) << 8 | data[at + 1]
            if at >= before:  # pointers point back: no loop
                raise Malformed("a pointer that does not point back")
            continue
        if size > 63 or len(name) > 254:
            raise Malformed("a label or a name that is too long")
        name += data[at : at + size + 1]
        at += size + 1
        if not size:
            return name, end or at


def _take_data(data: bytes, kind: int, at: int, size: int) -> bytes:
    if kind == SOA:
        first, after = _take_name(data, at)
        second, after = _take_name(data, after)
        return first + second + data[after : at + size]
    if (skip := _NAMED.get(kind)) is not None:
        return data[at : at + skip] + _take_name(data, at + skip)[0]
    return data[at : at + size]


def take_records(data: bytes) -> tuple[list[Record], list[Record], list[Record]]:
    """Answer, authority and additional section.  Malformed."""
    sections: tuple[list[Record], list[Record], list[Record]] = ([], [], [])
    try:
        questions, *counts = struct.unpack_from("!4H", data, 4)
        at = HEADER_BYTES
        for _ in range(questions):
            at = _take_name(data, at)[1] + 4
        for section, count in zip(sections, counts, strict=True):
            for _ in range(count):
                owner, at = _take_name(data, at)
                kind, group, ttl_s, size = struct.unpack_from("!HHIH", data, at)
                at += 10
                if at + size > len(data):
                    raise Malformed("a record longer than the message")
                section.append(Record(owner, kind, group, ttl_s, _take_data(data, kind, at, size)))
                at += size
    except (IndexError, struct.error) as exc:
        raise Malformed("the message ends too early") from exc
    return sections


def _write(out: bytearray, records: list[Record], places: dict[bytes, int]) -> None:
    for record in records:
        place = places.get(record.owner.lower())
        if place is not None:
            out += struct.pack("!H", 0xC000 | place)
        else:
            if len(out) < 0x4000:
                places[record.owner.lower()] = len(out)
            out += record.owner
        out += struct.pack("!HHIH", record.kind, record.group, record.ttl_s, len(record.data))
        out += record.data


def make_answer(
    question: Question,
    code: int,
    answers: list[Record],
    authority: list[Record] = [],  # noqa: B006 # never changed
    additional: list[Record] = [],  # noqa: B006 # never changed
) -> bytes:
    """A reply without an OPT record, to be finished by finish()."""
    out = bytearray(question.id)
    out += bytes([0x80 | question.recursion, 0x80 | code])
    out += struct.pack("!4H", 1, len(answers), len(authority), len(additional))
    out += question.wire
    places = {question.wire[:-4].lower(): HEADER_BYTES}
    for section in (answers, authority, additional):
        _write(out, section, places)
    return bytes(out)


def is_answer(question: Question, answer: bytes) -> bool:
    """Whether it is a whole one to this very question, and has nothing behind the authority."""
    end = HEADER_BYTES + len(question.wire)
    is_reply = len(answer) >= end and answer[2] & 0x82 == 0x80  # QR, and not TC
    is_plain = answer[4:6] == b"\0\1" and answer[10:12] == b"\0\0"
    return is_reply and is_plain and answer[HEADER_BYTES:end].lower() == question.wire.lower()


def rename(
    question: Question, found: Labels, answer: bytes, *, flat: bool = False
) -> tuple[bytes, int]:
    """The answer for another name as an answer to this question, joined by a CNAME, or `flat`,
    without one; and for how long it may be kept."""
    answers, authority, additional = take_records(answer)
    lifetime_s = _lifetime_s(rcode(answer), answers, authority)
    if found == question.labels and all(record.kind != OPT for record in additional):
        return answer, lifetime_s
    if flat and found != question.labels:
        owner = question.wire[:-4]
        answers = [each._replace(owner=owner) for each in answers if each.kind != CNAME]
    elif found != question.labels and answers:
        alias = Record(question.wire[:-4], CNAME, 1, answers[0].ttl_s, make_name(found))
        answers = [alias, *answers]
    additional = [record for record in additional if record.kind != OPT]
    return make_answer(question, rcode(answer), answers, authority, additional), lifetime_s


def _lifetime_s(code: int, answers: list[Record], authority: list[Record]) -> int:
    """The least TTL, or what the SOA says about "none" (RFC 2308)."""
    if any(record.kind != CNAME for record in answers):
        return min(record.ttl_s for record in answers)
    soa = [record for record in authority if record.kind == SOA]
    if code not in (NOERROR, NXDOMAIN) or not soa:
        return 0
    return min(soa[0].ttl_s, int.from_bytes(soa[0].data[-4:], "big"))


def _after_name(data: bytes, at: int) -> int:
    while size := data[at]:
        if size & 0xC0 == 0xC0:
            return at + 2
        at += size + 1
    return at + 1


def ttl_places(answer: bytes) -> list[int]:
    """Where in a message, which has been read before, each TTL is."""
    questions, *counts = struct.unpack_from("!4H", answer, 4)
    at, places = HEADER_BYTES, []
    for _ in range(questions):
        at = _after_name(answer, at) + 4
    for _ in range(sum(counts)):
        at = _after_name(answer, at)
        places.append(at + 4)
        at += 10 + int.from_bytes(answer[at + 8 : at + 10], "big")
    return places


def finish(question: Question, answer: bytes, room: int) -> bytes:
    """Make a kept answer the answer to this very question, in so many bytes."""
    end = HEADER_BYTES + len(question.wire)
    head = question.id + bytes([answer[2] & 0xFE | question.recursion]) + answer[3:10]
    extra = int.from_bytes(answer[10:12], "big") + question.has_opt
    opt = b"\0" + struct.pack("!HHIH", OPT, OUR_UDP_BYTES, 0, 0) if question.has_opt else b""
    if len(answer) + len(opt) > room:  # say so; the client comes back over TCP
        head = question.id + bytes([answer[2] & 0xFE | question.recursion | 2, answer[3]])
        counts = struct.pack("!4H", 1, 0, 0, question.has_opt)
        return head + counts + question.wire + opt
    return head + extra.to_bytes(2, "big") + question.wire + answer[end:] + opt
