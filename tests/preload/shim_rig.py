"""Builds the shim and the C programs, plain and sanitized, and runs programs with and without it.

Called by: conftest.py and every test of this folder.
Owns: build/preload-tests.
Never: installs anything.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fake_pod import FakePod

ROOT = Path(__file__).resolve().parents[2]
SHIM = "preload/libtelepresence-preload.so"
RUN_S = 30.0
LABELS_SIZE = 4096  # a hundred sockets; that many are never open at once

# RFC 2544 and RFC 3849 networks: nowhere on this machine, so only the shim can reach them.
WEB, ECHO, SMTP, REDIS, HELD, FREE = ((f"198.18.0.{n}", 80) for n in range(1, 7))
DATABASE = ("198.18.0.7", 5432)
GIT = ("198.18.0.8", 80)
ECHO6 = ("2001:db8::7", 80)
REFUSED, UNREACHABLE, FORBIDDEN, NO_HOST, SILENT = ((f"198.18.1.{n}", 80) for n in range(1, 6))
NO_IPV6 = ("2001:db8::99", 80)  # what a pod without IPv6 says of all such addresses


@dataclass(frozen=True)
class Rig:
    build: Path
    conf: Path
    sanitized: bool
    library: str = SHIM

    def environ(self, settings: str | None) -> dict[str, str]:
        """settings None: without the shim."""
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        if settings is None:
            return env
        self.conf.write_text(settings)
        with Path(f"{self.conf}.labels").open("ab") as labels:
            labels.truncate(LABELS_SIZE)
        preload = str(self.build / self.library)
        if self.sanitized:
            asan = ["gcc", "-print-file-name=libasan.so"]
            first = f"{self.build}/preload/libasan-first.so"
            preload = f"{subprocess.check_output(asan, text=True).strip()} {first} {preload}"
            # Ours are the reports wanted here, not those of the C programs' own exits.
            env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:exitcode=77"
        return env | {"LD_PRELOAD": preload, "TORSOCKS_CONF_FILE": str(self.conf)}

    def run(
        self,
        argv: list[str],
        settings: str | None,
        *,
        env: dict[str, str] | None = None,
        **options: object,
    ) -> subprocess.CompletedProcess[str]:
        if (self.build / "preload" / argv[0]).is_file():
            argv = [str(self.build / "preload" / argv[0]), *argv[1:]]
        return subprocess.run(
            argv, env=self.environ(settings) | (env or {}), text=True, timeout=RUN_S, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            **options,  # type: ignore[call-overload,no-any-return]
        )  # fmt: skip


def build(name: str, *flags: str, target: str = "preload-programs") -> Path:
    where = ROOT / "build" / "preload-tests" / name
    configure = ["cmake", "-S", str(ROOT), "-B", str(where), "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    for command in (
        [*configure, *flags],
        ["cmake", "--build", str(where), "--target", target],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return where


MakePod = Callable[..., FakePod]
