"""Ports of the laptop in a container: --container-to-host."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator

import pytest

from engine_rig import BASE, RUN, docker, proxies
from rig import Telepresence

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")


@pytest.fixture
def ide() -> Iterator[int]:
    """A server on the laptop's loopback; its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"laptop {self.path}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_laptop_is_reached_from_the_containers_localhost(
    telepresence: Telepresence, ide: int
) -> None:
    """By IPv4 and IPv6, below 1024 too; a port that nobody serves is reset; and nobody else."""
    words = ["--container-to-host", f"8000:{ide}", "--container-to-host", f"80:{ide}",
             "--container-to-host", "8001:1"]  # fmt: skip
    script = """
curl -sS http://localhost:8000/a; echo; curl -sS -g 'http://[::1]:8000/b'; echo
curl -sS http://localhost/c; echo; curl -s http://localhost:8001; echo $?; cat"""
    with telepresence.running(*words, *RUN, "-i", BASE, "sh", "-c", script) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        assert said[:3] == ["laptop /a\n", "laptop /b\n", "laptop /c\n"]
        assert int(said[3]) in (52, 55, 56)  # curl(1): no answer; reset, soon or late
        (state,) = json.loads(docker("inspect", *proxies()))
        for network in state["NetworkSettings"]["Networks"].values():
            url = f"http://{network['IPAddress']}:8000/"
            done = subprocess.run(["curl", "-s", "-m", "5", url], capture_output=True, check=False)
            assert done.returncode == 7, "an address of the container leads to the laptop"
    telepresence.wait_log("a connection to port 8001 of the container found nobody on port 1 here")
