"""Mach-O files: slices, and signatures that an independent reader takes for good."""

import struct

import lief
import pytest
from signatures import signed_as

from telepresence.method import macho


def commands(image: bytes) -> list[str]:
    binary = lief.MachO.parse(list(image))
    assert binary is not None
    return [str(command.command) for command in binary[0].commands]


def test_the_reader_takes_the_linkers_own_signature(arm64: bytes) -> None:
    assert signed_as(arm64).startswith("hello-aarch64")


@pytest.mark.parametrize("arch", ["arm64", "x86_64"])
def test_a_program_is_signed_whether_or_not_it_was(
    arch: str, request: pytest.FixtureRequest
) -> None:
    image: bytes = request.getfixturevalue(arch)
    signed = macho.sign(image, "ls")
    assert signed_as(signed) == "ls"
    ours = [command for command in commands(image) if "CODE_SIGNATURE" not in command]
    assert commands(signed) == [*ours, "TYPE.CODE_SIGNATURE"]


@pytest.mark.parametrize("arch", ["arm64", "x86_64"])
def test_what_is_signed_is_the_same_program(arch: str, request: pytest.FixtureRequest) -> None:
    image: bytes = request.getfixturevalue(arch)
    first, second = (lief.MachO.parse(list(b)) for b in (image, macho.sign(image, "ls")))
    assert first is not None
    assert second is not None
    for before, after in zip(first[0].sections, second[0].sections, strict=True):
        assert (before.name, bytes(before.content)) == (after.name, bytes(after.content))


def test_signing_again_changes_nothing(arm64: bytes) -> None:
    signed = macho.sign(arm64, "a")
    assert macho.sign(signed, "a") == signed
    assert signed_as(macho.sign(signed, "a much longer name, so that the size differs")) != "a"


def test_a_changed_byte_is_noticed(arm64: bytes) -> None:
    signed = bytearray(macho.sign(arm64, "a"))
    signed[0x4000] ^= 1
    with pytest.raises(AssertionError):
        signed_as(bytes(signed))


def test_a_joined_file_has_the_parts_as_they_were(arm64: bytes, x86_64: bytes) -> None:
    fat = macho.join([x86_64, arm64])
    assert macho.is_macho(fat[:8])
    found = macho.slices(fat)
    assert [part.cpu for part in found] == [macho.X86_64, macho.ARM64]
    assert [fat[p.offset : p.offset + p.size] for p in found] == [x86_64, arm64]
    parsed = lief.MachO.parse(list(fat))
    assert parsed is not None
    assert [binary.header.cpu_type.name for binary in parsed] == ["X86_64", "ARM64"]


def test_the_slice_is_arm64_else_x86_64_and_never_arm64e(
    arm64: bytes, arm64e: bytes, x86_64: bytes
) -> None:
    assert macho.thin(macho.join([x86_64, arm64]), "arm64") == arm64
    assert macho.thin(macho.join([x86_64, arm64]), "x86_64") == x86_64
    assert macho.thin(macho.join([x86_64, arm64e]), "arm64") == x86_64
    assert macho.thin(macho.join([x86_64, arm64e, arm64]), "arm64") == arm64
    assert macho.thin(arm64, "arm64") == arm64
    with pytest.raises(macho.NotMachO):
        macho.thin(arm64e, "arm64")
    with pytest.raises(macho.NotMachO):
        macho.thin(arm64, "x86_64")


def test_a_fat_file_with_wide_offsets(x86_64: bytes) -> None:
    head = struct.pack(">2I2I2Q2I", 0xCAFEBABF, 1, macho.X86_64, 3, 4096, len(x86_64), 12, 0)
    assert macho.thin(head.ljust(4096, b"\0") + x86_64, "x86_64") == x86_64


@pytest.mark.parametrize(
    "head", [b"", b"#!/bin/sh\n", b"\x7fELF\2\1\1\0", b"\xca\xfe\xba\xbe\0\0\0\x3d", b"\xcf\xfa"]
)
def test_other_files_are_not_mach_o(head: bytes) -> None:
    """The fourth is a Java class of version 61."""
    assert not macho.is_macho(head[:8])
    with pytest.raises(macho.NotMachO):
        macho.slices(head)


@pytest.mark.parametrize("length", [8, 20, 40, 200, 0x3000])
def test_what_is_cut_short_is_refused(arm64: bytes, x86_64: bytes, length: int) -> None:
    with pytest.raises(macho.NotMachO):
        macho.sign(arm64[:length], "a")
    with pytest.raises(macho.NotMachO):
        macho.sign(x86_64[:length], "a")
    with pytest.raises(macho.NotMachO):
        macho.thin(macho.join([arm64])[:length], "arm64")
