"""The engine for systems other than Linux: it compiles for macOS, and its portable parts run here.

No kernel here has a kqueue(2): what poller_kqueue.c talks to is kqueue/, made of epoll(7).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import lief
import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "src" / "_fastpath"
KQUEUE = ROOT / "tests" / "sockets" / "kqueue"
BASE = ROOT / "build" / "portable"
COMPILE_S, RUN_S = 240, 240
STRICT = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow")


def zig(target: str, *words: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", target, *STRICT, "-Werror",
         "-I", ENGINE, *words],
        env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(ROOT / "build" / "zig")},
        capture_output=True, text=True, timeout=COMPILE_S, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    assert done.returncode == 0


@pytest.fixture
def openssl_headers(tmp_path: Path) -> Path:
    """Debian's, apart from all else in /usr/include; Homebrew has the same release."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    for place in ("/usr/include/openssl", f"/usr/include/{multiarch}/openssl"):
        shutil.copytree(place, tmp_path / "include" / "openssl", dirs_exist_ok=True)
    return tmp_path / "include"


@pytest.mark.parametrize("target", ["aarch64-macos.11.0", "x86_64-macos.11.0"])
def test_it_compiles_and_links_for_macos_without_a_warning(
    target: str, tmp_path: Path, openssl_headers: Path
) -> None:
    library = tmp_path / "engine.dylib"
    every, tls = set(ENGINE.glob("*.c")), ENGINE / "carrier_api.c"
    zig(target, "-shared", "-o", library, *sorted(every - {tls}))
    zig(target, "-I", openssl_headers, "-c", "-o", tmp_path / "carrier_api.o", tls)
    binary = lief.parse(library)
    assert isinstance(binary, lief.MachO.Binary)
    needed = {symbol.name for symbol in binary.imported_symbols}
    assert {"_kqueue", "_kevent", "_socketpair"} <= needed


def test_the_portable_engine_passes_the_same_tests() -> None:
    """It waits in kqueue(2), moves bytes without splice(2) and rings without eventfd(2)."""
    BASE.mkdir(parents=True, exist_ok=True)
    queue = BASE / "kqueue.o"
    subprocess.run(
        ["gcc", *STRICT, "-Werror", "-fPIC", "-I", KQUEUE, "-c", "-o", queue, KQUEUE / "kqueue.c"],
        check=True, timeout=COMPILE_S,
    )  # fmt: skip
    build = [sys.executable, "setup.py", "-q", "build", "--force", "--build-base", str(BASE)]
    environ = os.environ | {
        "CFLAGS": f"-DTELEPRESENCE_PORTABLE -I{KQUEUE}",
        "LDFLAGS": str(queue),
    }
    subprocess.run(build, cwd=ROOT, env=environ, capture_output=True, timeout=COMPILE_S, check=True)
    (library,) = BASE.glob("lib.*")
    (engine,) = library.glob("_fastpath/engine.*.so")
    needs = subprocess.check_output(["nm", "-D", "--undefined-only", engine], text=True)
    assert not {"splice", "eventfd", "accept4", "recvmmsg"} & {
        word.split("@")[0] for word in needs.replace("\n", " ").split()
    }
    environ = os.environ | {"PYTHONPATH": str(library)}
    loaded = "import _fastpath.engine as engine; print(engine.__file__)"
    said = subprocess.check_output([sys.executable, "-c", loaded], text=True, env=environ)
    assert said.strip() == str(engine)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-k", "not split",  # the codecs, which are the same
         "--ignore", str(Path(__file__)), str(Path(__file__).parent)],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=RUN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
