"""Builds the supervisor and programs that no shim can enter, and runs one under the other.

Called by: the tests of the supervisor.
Owns: build/preload-tests.
Never: preloads anything.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shim_rig import ROOT, RUN_S, build

PROGRAMS = ROOT / "tests" / "preload" / "programs"
BUILT = ROOT / "build" / "preload-tests" / "closed"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    log: str


@dataclass(frozen=True)
class Supervisor:
    """`telepresence-supervisor` of one build, with a settings file of the test's own."""

    path: Path
    conf: Path

    def run(self, argv: list[str], settings: str, *, stdin: str = "", **options: object) -> Done:
        self.conf.write_text(settings)
        self.conf.chmod(0o644)
        source, sink = os.pipe()
        words = [str(self.path), str(self.conf), str(sink), argv[0], *argv]
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        try:
            done = subprocess.run(
                words, env=env, input=stdin, text=True, pass_fds=[sink], timeout=RUN_S, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,  # type: ignore[call-overload]
            )  # fmt: skip
        finally:
            os.close(sink)
        with os.fdopen(source) as log:
            return Done(done.returncode, done.stdout, log.read())


def build_supervisor(name: str, *flags: str) -> Path:
    where = build(name, *flags)
    target = ["--target", "telepresence-supervisor"]
    subprocess.run(["cmake", "--build", where, *target], check=True, stdout=subprocess.DEVNULL)
    return where / "supervisor" / "telepresence-supervisor"


def build_closed_programs() -> Path:
    """Static and Go programs; a folder with talk and post, and fetch and closed with -go, -musl and
    -glibc behind their names."""
    BUILT.mkdir(parents=True, exist_ok=True)
    quiet = ["-w", "-O1", "-D_GNU_SOURCE", "-static"]
    built = {"fetch-musl": ("musl-gcc", "fetch.c"), "fetch-glibc": ("gcc", "fetch.c"),
             "closed-musl": ("musl-gcc", "closed.c"), "closed-glibc": ("gcc", "closed.c"),
             "talk": ("gcc", "talk.c"), "post": ("gcc", "post.c")}  # fmt: skip
    for name, (compiler, source) in built.items():
        libraries = ["-lresolv"] if compiler == "gcc" else []
        words = [compiler, *quiet, "-o", BUILT / name, PROGRAMS / source, *libraries]
        # glibc's linker warns that static programs load its resolver at run time; they may.
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    go = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(BUILT / "go-cache")}
    for name in ("fetch", "closed"):
        words = ["go", "build", "-o", BUILT / f"{name}-go", PROGRAMS / f"{name}.go"]
        subprocess.run(words, check=True, env=go)
    return BUILT


def run_closed(argv: list[str]) -> str:
    """What it prints without any supervisor."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_S, check=False)
    return done.stdout
