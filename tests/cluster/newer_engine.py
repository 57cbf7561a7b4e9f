"""A Docker engine of today: Debian 13's, which make setup only unpacks.

Called by: test_container_newer.py, test_container_compose.py.
Owns: the engine, its data and its bridge, until the context ends.
Never: makes a rule of a firewall; the sandbox's engine has its own.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine_rig import SANDBOX, agents_image
from telepresence.proc import bound_to_us
from workloads import until

UNPACKED = SANDBOX.parents[1] / "build" / "unpacked-trixie" / "usr"
COMPOSE = UNPACKED / "libexec" / "docker" / "cli-plugins" / "docker-compose"
BRIDGE, RANGE = "docker-newer", "10.97.1.1/24"


class Newer:
    """Its client, and the variables with which telepresence finds it."""

    program = str(UNPACKED / "bin" / "docker")

    def __init__(self, folder: Path) -> None:
        self.environ = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}

    def __call__(self, *words: str) -> str:
        done = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **self.environ})  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def held(self) -> list[str]:
        networks = self("network", "ls", "--format", "{{.Name}} {{.Driver}}")
        return [self("ps", "-aq"), self("volume", "ls", "-q"), networks]


def _answers(engine: Newer) -> bool:
    words = [engine.program, "version"]
    environ: Mapping[str, str] = {**os.environ, **engine.environ}
    return subprocess.run(words, capture_output=True, env=environ, check=False).returncode == 0


@contextlib.contextmanager
def _bridge() -> Iterator[None]:
    delete = ["ip", "link", "delete", BRIDGE]
    subprocess.run(delete, stderr=subprocess.DEVNULL, check=False)  # of a run that was killed
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", RANGE, "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        yield
    finally:
        subprocess.run(delete, check=True)


@contextlib.contextmanager
def started(folder: Path, base: Path) -> Iterator[Newer]:
    """It has the agent's image, and what is in the archive `base`."""
    engine = Newer(folder)
    words = bound_to_us([
        str(UNPACKED / "sbin" / "dockerd"), f"--host={engine.environ['DOCKER_HOST']}",
        f"--data-root={folder}/data", f"--exec-root={folder}/state",
        f"--pidfile={folder}/dockerd.pid", f"--bridge={BRIDGE}", "--iptables=false",
        f"--userland-proxy-path={UNPACKED}/sbin/docker-proxy",
    ])  # fmt: skip
    with _bridge(), contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        log = stack.enter_context((folder / "dockerd.log").open("wb"))
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        until(lambda: process.poll() is not None or _answers(engine), 30)
        assert process.poll() is None, (folder / "dockerd.log").read_text()
        for archive in (agents_image(), base):
            engine("load", "--quiet", "--input", str(archive))
        yield engine
