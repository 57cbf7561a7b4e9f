"""The two ways to the agent, and streams that outlive a way that breaks."""

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rig import Telepresence

INJECT = ("--method", "inject-tcp")
DOWNLOAD = """
import socket, struct
sock = socket.create_connection(("bench", 7019))
size = 300_000_000
sock.sendall(struct.pack("!Q", size))
left, pieces = size, 0
while left:
    data = sock.recv(min(left, 1 << 16))
    assert data and not data.strip(b"\\0"), "end of file or other bytes"
    left -= len(data)
    pieces += 1
    if pieces == 100:
        print("half-way", flush=True)
print("all", flush=True)
"""


class Relay:
    """TCP to one server, which can be cut: what stands between a laptop and its cluster."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                self._threads.append(threading.Thread(target=self._join, args=(near,)))
                self._threads[-1].start()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            self._socks += [near, far]
            back = threading.Thread(target=self._pump, args=(far, near))
            back.start()
            self._pump(near, far)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def cut(self) -> int:
        """All connections of now; how many there were."""
        socks, self._socks = self._socks, []
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        return len(socks) // 2

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.cut()
        for thread in self._threads:
            thread.join(20)


def write_config(
    kubeconfig: Path, place: Path, change: Callable[[dict[str, str]], None]
) -> dict[str, str]:
    """The environment for the same cluster by another address."""
    config = yaml.safe_load(kubeconfig.read_text())
    for cluster in config["clusters"]:
        change(cluster["cluster"])
    place.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(place)}


@pytest.fixture
def relay(kubeconfig: Path) -> Iterator[tuple[Relay, str]]:
    """A relay to the API server, and the name that its certificate has."""
    config = yaml.safe_load(kubeconfig.read_text())
    match = re.fullmatch(
        r"https://\[?([^\]]+?)\]?:(\d+)", config["clusters"][0]["cluster"]["server"]
    )
    assert match, "a server with a port"
    with contextlib.closing(Relay(match[1], int(match[2]))) as made:
        yield made, match[1]


@pytest.fixture
def without_tls(kubeconfig: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A kubeconfig whose server is `kubectl proxy`."""
    with subprocess.Popen(
        ["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True
    ) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().split()[-1]

        def change(cluster: dict[str, str]) -> None:
            cluster.clear()
            cluster["server"] = f"http://{address}"

        yield write_config(kubeconfig, tmp_path / "plain", change)
        proxy.terminate()


def test_the_api_server_forwards_without_kubectl(
    telepresence: Telepresence, tmp_path: Path
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    (path / "curl").symlink_to("/usr/bin/curl")
    done = telepresence(
        *INJECT, "--run", "curl", "-s", "http://helloworld", env={"PATH": str(path)}
    )
    assert done.out.startswith("Hello, world!"), done.err


def test_without_tls_kubectl_forwards(
    telepresence: Telepresence, without_tls: dict[str, str]
) -> None:
    done = telepresence(*INJECT, "--run", "curl", "-s", "http://helloworld", env=without_tls)
    assert done.out.startswith("Hello, world!"), done.err
    assert "kubectl forwards" in telepresence.log.read_text()


def test_without_tls_and_without_kubectl_nothing_is_begun(
    telepresence: Telepresence, without_tls: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    (path / "true").symlink_to("/bin/true")
    done = telepresence("--run", "true", env={**without_tls, "PATH": str(path)})
    assert done.code == 255
    assert len(done.said) == 2, done.err
    assert "kubectl or oc, and neither is in your $PATH" in done.err


def test_a_certificate_for_another_name_is_not_believed(
    telepresence: Telepresence, kubeconfig: Path, relay: tuple[Relay, str], tmp_path: Path
) -> None:
    def change(cluster: dict[str, str]) -> None:
        cluster["server"] = f"https://127.0.0.1:{relay[0].port}"
        cluster["tls-server-name"] = "another.example"

    config = write_config(kubeconfig, tmp_path / "other", change)
    done = telepresence("--run", "true", env=config)
    assert done.code == 255
    assert "certificate" in done.err.lower()


def download_across(
    telepresence: Telepresence, config: dict[str, str], cut: Callable[[], object]
) -> None:
    with telepresence.running(*INJECT, "-n", "t-cut", "--run", "python3", "-c", DOWNLOAD,
                              env=config) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "half-way\n"
        began = time.monotonic()
        cut()
        assert process.stdout.readline() == "all\n"
        assert time.monotonic() - began < 30
        assert process.wait(30) == 0
    assert "carrier lost" in telepresence.log.read_text()


def test_connections_survive_the_loss_of_every_connection_to_the_api_server(
    telepresence: Telepresence, kubeconfig: Path, relay: tuple[Relay, str], tmp_path: Path
) -> None:
    def change(cluster: dict[str, str]) -> None:
        cluster["server"] = f"https://127.0.0.1:{relay[0].port}"
        cluster["tls-server-name"] = relay[1]

    def cut() -> None:
        assert relay[0].cut() >= 2, "the watch and the carrier"

    download_across(telepresence, write_config(kubeconfig, tmp_path / "relayed", change), cut)


def test_connections_survive_the_death_of_the_port_forward(
    telepresence: Telepresence, without_tls: dict[str, str]
) -> None:
    download_across(
        telepresence,
        without_tls,
        lambda: subprocess.run(["pkill", "-KILL", "-f", "port-forward.*pod/t-cut"], check=True),
    )
