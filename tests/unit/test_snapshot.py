"""Volumes on their way to the laptop: every split, and nothing that leads out of a volume."""

import struct

import pytest

from telepresence.errors import ProtocolError
from telepresence.snapshot import (
    LIMIT_BYTES,
    File,
    Snapshot,
    make_request,
    make_snapshot,
    take_request,
    take_snapshot,
)

FILES = (
    File(path=b"key", mode=0o644, content=b"\0\xff\n"),
    File(path=b"deep/\xc3\xa9 r\n", mode=0o400, content=b""),
)


@pytest.mark.parametrize("paths", [(), (b"/a",), (b"/a", b"/b c\n", b"/\xff")])
def test_a_request_is_read_at_every_split(paths: tuple[bytes, ...]) -> None:
    wire = make_request(paths)
    for size in range(len(wire)):
        assert take_request(wire[:size]) is None
    assert take_request(wire) == paths


def test_snapshots_are_read_at_every_split() -> None:
    sent = [Snapshot(number=7, files=FILES), Snapshot(number=0, files=())]
    wire = b"".join(map(make_snapshot, sent))
    for size in range(len(wire) + 1):
        data, seen = bytearray(), []
        for part in (wire[:size], wire[size:]):
            data += part
            while (snapshot := take_snapshot(data)) is not None:
                seen.append(snapshot)
        assert (seen, data) == (sent, b"")


@pytest.mark.parametrize(
    "path", [b"/etc/passwd", b"../x", b"a/../../x", b"..data", b"a//b", b"a/", b".", b"a\0b"]
)
def test_a_name_that_leads_out_is_refused(path: bytes) -> None:
    wire = make_snapshot(Snapshot(number=0, files=(File(path=path, mode=0, content=b""),)))
    with pytest.raises(ProtocolError, match="cannot be in a volume"):
        take_snapshot(bytearray(wire))


def test_what_is_cut_too_long_or_two_things_is_refused() -> None:
    for body in (b"\0", struct.pack("!HIQ", 1, 0, 9) + b"ab"):
        with pytest.raises(ProtocolError):
            take_snapshot(bytearray(struct.pack("!IQ", 0, len(body)) + body))
    with pytest.raises(ProtocolError, match=f"{LIMIT_BYTES + 1} bytes"):
        take_snapshot(bytearray(struct.pack("!IQ", 0, LIMIT_BYTES + 1)))
    both = (File(path=b"", mode=0, content=b""), FILES[0])
    with pytest.raises(ProtocolError, match="a file and a directory"):
        take_snapshot(bytearray(make_snapshot(Snapshot(number=0, files=both))))


def test_rights_are_all_that_is_kept_of_a_mode() -> None:
    wire = make_snapshot(Snapshot(number=0, files=(File(path=b"x", mode=0o104755, content=b""),)))
    taken = take_snapshot(bytearray(wire))
    assert taken is not None
    assert taken.files[0].mode == 0o755
