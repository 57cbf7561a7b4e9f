"""Mach-O files: which slice a machine can run, and a signature that needs no identity.

Called by: sip.py; preload/dylib.py, which makes the shim for macOS.
Owns: nothing.
Never: opens a file: bytes in, bytes out.

Sources: Apple's mach-o/loader.h, mach-o/fat.h, and xnu's osfmk/kern/cs_blobs.h.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

X86_64, ARM64 = 0x01000007, 0x0100000C
_ARM64E = 2  # the subtype whose programs only Apple may ship
_SUBTYPE = 0x00FFFFFF  # the rest are capabilities

_MAGIC = b"\xcf\xfa\xed\xfe"
_FAT, _FAT_64 = b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"
_FAT_MAX = 16  # a Java class begins like a fat file; its number here is a version, 45 and up
_FAT_ALIGN = 14  # 16 KiB, arm64's page

_LC_SEGMENT_64, _LC_CODE_SIGNATURE = 0x19, 0x1D
_MH_EXECUTE = 2
_HEADER_BYTES = 32

_PAGE_SHIFT = 12
_PAGE = 1 << _PAGE_SHIFT
_SUPERBLOB, _CODE_DIRECTORY, _VERSION = 0xFADE0CC0, 0xFADE0C02, 0x20400
_ADHOC, _SHA256, _MAIN_BINARY = 0x2, 2, 0x1
_SUPERBLOB_HEAD = struct.Struct(">5I")
_DIRECTORY_HEAD = struct.Struct(">9I4B4I4Q")


class NotMachO(ValueError):
    """Not a 64-bit Mach-O file, or not one that can be signed; the words say why."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One architecture of a file."""

    cpu: int
    subtype: int
    offset: int
    size: int

    @property
    def is_arm64e(self) -> bool:
        return self.cpu == ARM64 and self.subtype & _SUBTYPE == _ARM64E


@dataclass(frozen=True, slots=True)
class _Segment:
    name: bytes
    at: int  # of its command
    vm_size: int
    offset: int
    size: int
    first_section: int  # offset in the file; 0: none


def is_macho(head: bytes) -> bool:
    """By the first eight bytes."""
    if head[:4] in (_FAT, _FAT_64) and len(head) >= 8:
        return 0 < int.from_bytes(head[4:8], "big") <= _FAT_MAX
    return head[:4] == _MAGIC


def slices(image: bytes) -> list[Slice]:
    """NotMachO: neither thin nor fat, or cut short."""
    if not is_macho(image[:8]):
        raise NotMachO("no Mach-O file")
    try:
        if image[:4] == _MAGIC:
            cpu, subtype = struct.unpack_from("<2I", image, 4)
            return [Slice(cpu, subtype, 0, len(image))]
        arch = struct.Struct(">2I2QII" if image[:4] == _FAT_64 else ">2I2II")
        (count,) = struct.unpack_from(">I", image, 4)
        found = [Slice(*arch.unpack_from(image, 8 + arch.size * n)[:4]) for n in range(count)]
    except struct.error as exc:
        raise NotMachO("the header is cut short") from exc
    if any(part.offset + part.size > len(image) for part in found):
        raise NotMachO("a slice is cut short")
    return found


def thin(image: bytes, machine: str) -> bytes:
    """The slice that a copy can run as on `machine` (uname -m).  arm64e is not for us: the kernel
    ends every arm64e program that Apple has not signed, so Rosetta runs the other slice."""
    wanted = (ARM64, X86_64) if machine == "arm64" else (X86_64,)
    there = {part.cpu: part for part in slices(image) if not part.is_arm64e}
    for cpu in wanted:
        if cpu in there:
            part = there[cpu]
            return image[part.offset : part.offset + part.size]
    raise NotMachO(f"no slice that {machine} would run as a copy")


def join(parts: list[bytes]) -> bytes:
    """A fat file of thin ones, as lipo makes it."""
    align = 1 << _FAT_ALIGN
    heads, body, offset = [], b"", align
    for part in parts:
        body += bytes(offset - align - len(body)) + part
        cpu, subtype = struct.unpack_from("<2I", part, 4)
        heads.append(struct.pack(">5I", cpu, subtype, offset, len(part), _FAT_ALIGN))
        offset += -(-len(part) // align) * align
    head = _FAT + struct.pack(">I", len(parts)) + b"".join(heads)
    return head.ljust(align, b"\0") + body


def sign(image: bytes, identifier: str) -> bytes:
    """A thin file with an ad-hoc signature in place of the one that it had, if any."""
    try:
        return _sign(bytearray(image), identifier)
    except struct.error as exc:
        raise NotMachO("a load command is cut short") from exc


def _sign(image: bytearray, identifier: str) -> bytes:
    if image[:4] != _MAGIC:
        raise NotMachO("no thin Mach-O file")
    segments = {segment.name: segment for segment in _segments(image)}
    text, linkedit = segments.get(b"__TEXT"), segments.get(b"__LINKEDIT")
    if text is None or linkedit is None:
        raise NotMachO("no __TEXT or no __LINKEDIT segment")
    if linkedit.offset + linkedit.size > len(image):
        raise NotMachO("the file is cut short")
    end = -(-_cut_signature(image) // 16) * 16
    image += bytes(end - len(image))
    size = _signature_size(end, identifier)
    struct.pack_into("<2I", image, _signature_command(image, text), end, size)
    held = end + size - linkedit.offset
    struct.pack_into(
        "<Q", image, linkedit.at + 32, max(linkedit.vm_size, -(-held // 0x4000) * 0x4000)
    )
    struct.pack_into("<Q", image, linkedit.at + 48, held)
    return bytes(image) + _signature(bytes(image), identifier, text).ljust(size, b"\0")


def _commands(image: bytes | bytearray) -> Iterator[tuple[int, int, int]]:
    """Kind, offset and size of each load command."""
    count, total = struct.unpack_from("<2I", image, 16)
    at = _HEADER_BYTES
    for _ in range(count):
        kind, size = struct.unpack_from("<2I", image, at)
        if size < 8 or at + size > _HEADER_BYTES + total:
            raise NotMachO("a load command is cut short")
        yield kind, at, size
        at += size


def _segments(image: bytes | bytearray) -> Iterator[_Segment]:
    for kind, at, _ in _commands(image):
        if kind != _LC_SEGMENT_64:
            continue
        name, _, vm_size, offset, size = struct.unpack_from("<16s4Q", image, at + 8)
        (count,) = struct.unpack_from("<I", image, at + 64)
        starts = [struct.unpack_from("<I", image, at + 72 + 80 * n + 48)[0] for n in range(count)]
        first = min((start for start in starts if start), default=0)
        yield _Segment(name.rstrip(b"\0"), at, vm_size, offset, size, first)


def _cut_signature(image: bytearray) -> int:
    """Take the old signature's bytes off the end; returns where it was, or would begin."""
    for kind, at, _ in _commands(image):
        if kind == _LC_CODE_SIGNATURE:
            start, size = map(int, struct.unpack_from("<2I", image, at + 8))
            if not start <= len(image) <= -(-(start + size) // 16) * 16:
                raise NotMachO("something stands behind the signature")
            del image[start:]
            return start
    return len(image)


def _signature_command(image: bytearray, text: _Segment) -> int:
    """Where the command keeps offset and size; it is made where there is none."""
    for kind, at, _ in _commands(image):
        if kind == _LC_CODE_SIGNATURE:
            return at + 8
    count, total = map(int, struct.unpack_from("<2I", image, 16))
    at = _HEADER_BYTES + total
    if text.first_section and at + 16 > text.first_section:
        raise NotMachO("no room for a signature's load command")
    struct.pack_into("<4I", image, at, _LC_CODE_SIGNATURE, 16, 0, 0)
    struct.pack_into("<2I", image, 16, count + 1, total + 16)
    return at + 8


def _signature_size(end: int, identifier: str) -> int:
    pages = -(-end // _PAGE)
    heads = _SUPERBLOB_HEAD.size + _DIRECTORY_HEAD.size
    exact = heads + len(identifier.encode()) + 1 + 32 * pages
    return -(-exact // 16) * 16


def _signature(image: bytes, identifier: str, text: _Segment) -> bytes:
    """A superblob with a code directory alone, as linkers write it."""
    name = identifier.encode() + b"\0"
    digests = [
        hashlib.sha256(image[at : at + _PAGE]).digest() for at in range(0, len(image), _PAGE)
    ]
    (filetype,) = struct.unpack_from("<I", image, 12)
    hashes_at = _DIRECTORY_HEAD.size + len(name)
    directory = _DIRECTORY_HEAD.pack(
        _CODE_DIRECTORY, hashes_at + 32 * len(digests), _VERSION, _ADHOC,
        hashes_at, _DIRECTORY_HEAD.size, 0, len(digests), len(image),
        32, _SHA256, 0, _PAGE_SHIFT,
        0, 0, 0, 0, 0,
        text.offset, text.size, _MAIN_BINARY if filetype == _MH_EXECUTE else 0,
    )  # fmt: skip
    body = directory + name + b"".join(digests)
    head = _SUPERBLOB_HEAD.pack(
        _SUPERBLOB, _SUPERBLOB_HEAD.size + len(body), 1, 0, _SUPERBLOB_HEAD.size
    )
    return head + body
