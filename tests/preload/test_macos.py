"""The shim for macOS, made here and read by lief; and the start of copies, which can run here."""

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lief
import pytest
import ziglang
from telepresence._preload_ffi import ffi, lib

from shim_rig import ROOT, Rig

sys.path.append(str(ROOT / "tests" / "unit" / "method"))
from signatures import signed_as

MAKE_S, RUN_S = 240, 10
ARCHES = {"X86_64", "ARM64"}
# macOS's own: a connect, its kqueue(2), and resolver(3), which <resolv.h> names for libresolv.
CONNECTS = {"connectx", "kevent", "kevent64"}
RESOLVER = re.compile("^res_(?=n?(send|query|search|querydomain)$)")
# In libSystem, and left alone there.
NOT_TAKEN = {
    "dup3": "macOS 27 brought it: an entry would keep the shim from loading before",
    "syscall": "deprecated, with numbers of its own; programs on macOS do without",
}


@pytest.fixture(scope="session")
def dylib() -> Path:
    out = ROOT / "build" / "preload-tests" / "libtelepresence-preload.dylib"
    out.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, ROOT / "preload" / "dylib.py", out], check=True, timeout=MAKE_S)
    return out


@pytest.fixture(scope="session")
def fat(dylib: Path) -> lief.MachO.FatBinary:
    parsed = lief.MachO.parse(dylib)
    assert parsed is not None
    return parsed


@pytest.fixture(params=sorted(ARCHES))
def binary(request: pytest.FixtureRequest, fat: lief.MachO.FatBinary) -> lief.MachO.Binary:
    (found,) = (each for each in fat if each.header.cpu_type.name == request.param)
    return found


@pytest.fixture(scope="session")
def in_system() -> set[str]:
    """What macOS's libSystem exports: Apple's own list, which zig links with."""
    tbd = Path(ziglang.__file__).parent / "lib" / "libc" / "darwin" / "libSystem.tbd"
    return set(re.findall(r"(?<![\w$])_([A-Za-z0-9_$]+)", tbd.read_text()))


def listed() -> set[str]:
    text = (ROOT / "preload" / "exports.map").read_text()
    return set(re.findall(r"^    (\w+);$", text, flags=re.MULTILINE))


def interposed(binary: lief.MachO.Binary) -> Iterator[tuple[str, str]]:
    """What is replaced by what; both have to be pointers that dyld fills in."""
    table = binary.get_section("__interpose")
    assert table.type == lief.MachO.Section.TYPE.INTERPOSING
    assert table.segment_name == "__DATA"
    bound = {each.address: each.symbol.name for each in binary.bindings if each.symbol}
    moved = {each.address for each in binary.relocations}
    named = {each.value: each.name for each in binary.symbols if each.value}
    content = bytes(table.content)
    assert len(content) % 16 == 0
    for offset in range(0, len(content), 16):
        at = table.virtual_address + offset
        assert at in moved
        (replacement,) = struct.unpack_from("<Q", content, offset)
        yield bound[at + 8].removeprefix("_"), named[replacement].removeprefix("_")


def test_both_processors_from_macos_11_on(fat: lief.MachO.FatBinary) -> None:
    assert {each.header.cpu_type.name for each in fat} == ARCHES
    for each in fat:
        assert each.header.file_type == lief.MachO.Header.FILE_TYPE.DYLIB
        assert list(each.build_version.minos)[:2] == [11, 0]
        assert each.build_version.platform == lief.MachO.BuildVersion.PLATFORMS.MACOS


def test_every_listed_function_that_macos_has_is_replaced(
    binary: lief.MachO.Binary, in_system: set[str]
) -> None:
    replaced = [name for name, _ in interposed(binary)]
    assert len(replaced) == len(set(replaced))
    plain = {name.partition("$")[0] for name in replaced}
    assert NOT_TAKEN.keys() <= listed() & in_system
    in_resolver = {RESOLVER.sub("res_9_", name) for name in listed() if RESOLVER.match(name)}
    assert len(in_resolver) == 8
    assert plain == (listed() & in_system - NOT_TAKEN.keys()) | CONNECTS | in_resolver


def test_so_are_their_other_names(binary: lief.MachO.Binary, in_system: set[str]) -> None:
    """Without a cancellation point, and by another standard; $1050 is for Intel's alone."""
    replaced = {name for name, _ in interposed(binary) if not name.startswith("res_9_")}
    plain = {name.partition("$")[0] for name in replaced}
    others = {name for name in in_system if name.partition("$")[0] in plain}
    if binary.header.cpu_type.name != "X86_64":
        others = {name for name in others if not name.endswith("$1050")}
    assert replaced == others


def test_each_by_its_own_hook(binary: lief.MachO.Binary) -> None:
    for replaced, replacement in interposed(binary):
        name = replaced.partition("$")[0]
        assert replacement in {f"hook_{name}", f"hook_{RESOLVER.sub('res_9_', name)}"}


def test_it_exports_nothing_and_needs_only_the_system(binary: lief.MachO.Binary) -> None:
    of_the_linker = {"__mh_dylib_header", "___dso_handle"}
    assert {each.name for each in binary.exported_symbols} <= of_the_linker
    libraries = {each.name: each.command for each in binary.libraries}
    own = libraries.pop("@rpath/libtelepresence-preload.dylib")
    assert own == lief.MachO.LoadCommand.TYPE.ID_DYLIB
    assert libraries.keys() == {"/usr/lib/libSystem.B.dylib", "/usr/lib/libresolv.9.dylib"}


def test_it_never_ends_or_writes_for_the_program(binary: lief.MachO.Binary) -> None:
    needed = {each.name.removeprefix("_") for each in binary.imported_symbols}
    assert "connect" in needed
    assert not needed & {"exit", "_exit", "abort", "printf", "fprintf", "puts", "perror", "syslog"}


def test_both_slices_are_signed(dylib: Path) -> None:
    image = dylib.read_bytes()
    magic, count = struct.unpack_from(">2I", image)
    assert (magic, count) == (0xCAFEBABE, len(ARCHES))
    for number in range(count):
        _, _, offset, size, align = struct.unpack_from(">5I", image, 8 + 20 * number)
        assert offset % (1 << align) == 0
        assert signed_as(image[offset : offset + size]) == "libtelepresence-preload.dylib"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder as telepresence.method.sip leaves it, with this machine's sh for a copy."""
    folder = tmp_path / "mirror"
    for path in ("bin/sh", "usr/bin/env"):
        (folder / path).parent.mkdir(parents=True)
        shutil.copy2(f"/{path}", folder / path, follow_symlinks=True)
    (folder / "bin" / "plain").write_text("no program")
    return folder


def script(tmp_path: Path, text: str) -> str:
    place = tmp_path / "script"
    place.write_text(text)
    place.chmod(0o755)
    return str(place)


def found(folder: Path | None, path: str) -> tuple[str, ...] | None:
    """The program, and the words of a script's first line."""
    how = ffi.new("struct mirror_start *")
    name = ffi.NULL if folder is None else os.fsencode(folder)
    if not lib.mirror_find(name, path.encode(), how):
        return None
    words = [ffi.string(how.words[i]).decode() for i in range(how.n_words)]
    return (ffi.string(how.program).decode(), *words)


def test_a_protected_program_is_started_as_its_copy(mirror: Path) -> None:
    assert found(mirror, "/bin/sh") == (f"{mirror}/bin/sh",)
    assert found(mirror, "/usr/bin/env") == (f"{mirror}/usr/bin/env",)


@pytest.mark.parametrize(
    "path", ["/bin/none", "/bin/plain", "/bin/", "/bin/a/sh", "/usr/local/bin/env", "sh", "", "/"]
)
def test_all_others_as_they_are(mirror: Path, path: str) -> None:
    """Without a copy, without one that runs, or not protected."""
    assert found(mirror, path) is None


def test_without_a_mirror_all_are(mirror: Path) -> None:
    assert found(None, "/bin/sh") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#!/bin/sh\n", ["/bin/sh"]),
        ("#! \t/bin/sh -e  -u # as ever\n", ["/bin/sh", "-e", "-u"]),
        ("#!/usr/bin/env python3\nx", ["/usr/bin/env", "python3"]),
    ],
)
def test_a_script_is_started_by_its_interpreters_copy(
    mirror: Path, tmp_path: Path, line: str, words: list[str]
) -> None:
    assert found(mirror, script(tmp_path, line)) == (f"{mirror}{words[0]}", *words)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#!",
        "#!\n",
        "#! \t\n",
        "#!/bin/sh",
        "#!/bin/sh\r\n",
        "#!#/bin/sh\n",
        "#!/opt/sh\n",
        f"#!{' ' * 600}/bin/sh\n",
        "\x7fELF",
    ],
)
def test_other_first_lines_are_left_alone(mirror: Path, tmp_path: Path, text: str) -> None:
    assert found(mirror, script(tmp_path, text)) is None


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("start") / "start"
    parts = [ROOT / "tests/preload/programs/start.c", *(ROOT / "preload").glob("*mirror*.c")]
    subprocess.run(
        ["gcc", "-std=c11", "-D_GNU_SOURCE", "-DSTART_MIRRORED=1", "-Wall", "-Wextra", "-Werror",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g",
         "-I", ROOT / "preload", "-o", out, *parts],
        check=True, timeout=MAKE_S,
    )  # fmt: skip
    return out


WAYS = ["execve", "execvpe", "spawn", "spawnp"]
TELL = 'echo "$(readlink /proc/$$/exe)|$0|$*"'


def start(starter: Path, mirror: Path, *words: str, path: str = "/usr/bin:/bin") -> tuple[int, str]:
    environ = {"TELEPRESENCE_SIP": str(mirror), "PATH": path}
    done = subprocess.run(
        [starter, *words], env=environ, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_every_way_starts_the_copy(starter: Path, mirror: Path, way: str) -> None:
    said = start(starter, mirror, way, "/bin/sh", "-c", TELL, "me", "a b", "c")
    assert said == (0, f"{mirror}/bin/sh|me|a b c\n")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_starts_a_script_by_the_copy(
    starter: Path, mirror: Path, tmp_path: Path, way: str
) -> None:
    at = script(tmp_path, f"#!/bin/sh -u\n{TELL}\nexit 7\n")
    assert start(starter, mirror, way, at, "x", "y") == (7, f"{mirror}/bin/sh|{at}|x y\n")


@pytest.mark.parametrize("way", ["execvpe", "spawnp"])
def test_a_name_is_looked_for_in_path(
    starter: Path, mirror: Path, tmp_path: Path, way: str
) -> None:
    script(tmp_path, f"#!/bin/sh\n{TELL}\n")
    said = start(starter, mirror, way, "script", "1", path=f"/none:{tmp_path}:/bin")
    assert said == (0, f"{mirror}/bin/sh|{tmp_path}/script|1\n")


@pytest.mark.parametrize("way", ["execvpe", "spawnp"])
def test_a_file_without_a_first_line_is_sh_s(
    starter: Path, mirror: Path, tmp_path: Path, way: str
) -> None:
    script(tmp_path, f"{TELL}\n")
    said = start(starter, mirror, way, "script", "1", path=f"{tmp_path}:/bin")
    assert said == (0, f"{mirror}/bin/sh|{tmp_path}/script|1\n")


def test_what_cannot_be_started_is_said(starter: Path, mirror: Path, tmp_path: Path) -> None:
    assert start(starter, mirror, "execve", "/none") == (96, "/none: No such file or directory\n")
    assert start(starter, mirror, "execvpe", "none", path=str(tmp_path))[0] == 96
    assert start(starter, mirror, "spawnp", "none", path=str(tmp_path)) == (2, "")
    Path(script(tmp_path, "")).chmod(0o644)
    said = start(starter, mirror, "spawnp", "script", path=f"{tmp_path}:/none")
    assert said == (13, "")  # EACCES, though a later folder does not exist


def test_the_mirrors_place_survives_an_empty_environment(rig: Rig) -> None:
    """As the shim's own variables do, which exec.c hands on; that part is the same on Linux."""
    said = rig.run(["env", "-i", "env"], "TorPort 1\n", env={"TELEPRESENCE_SIP": "/a/mirror"})
    assert "TELEPRESENCE_SIP=/a/mirror" in said.stdout.splitlines()
    without = rig.run(["env", "-i", "env"], "TorPort 1\n")
    assert "TELEPRESENCE_SIP" not in without.stdout
