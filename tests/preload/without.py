"""The pod's network for real: what programs say in it without any of ours, to compare with.

Called by: conftest.py.
Owns: a network namespace and its files in /etc/netns, until close().
Never: reaches anything but its own loopback.

The namespace has the pod's addresses, and `ip netns exec` puts its names and name server into /etc.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from services import DatagramService, Service, Target, bound, pass_on

CLONE_NEWNET = 0x40000000  # sched.h
DNS = "198.18.0.53"
RUN_S = 30.0


class RealNetwork:
    """`network`, `datagrams`: the address in the pod, and where it really is on loopback."""

    def __init__(
        self,
        network: dict[Target, Target],
        datagrams: dict[Target, Callable[[bytes], bytes]],
        names: dict[str, str],
    ) -> None:
        self.name = f"tp-without-{os.getpid()}"
        self._etc = Path("/etc/netns") / self.name
        self._undo = contextlib.ExitStack()
        self._ip("netns", "add", self.name)
        self._undo.callback(self._ip, "netns", "delete", self.name)
        with contextlib.ExitStack() as failing:
            failing.callback(self.close)
            self._etc.mkdir(parents=True)
            self._undo.callback(shutil.rmtree, self._etc)
            lines = [f"{address} {name}\n" for name, address in names.items()]
            (self._etc / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
            (self._etc / "resolv.conf").write_text(f"nameserver {DNS}\n")
            self._ip("-n", self.name, "link", "set", "lo", "up")
            for host in {host for host, _ in (*network, *datagrams)}:
                more = ["nodad"] if ":" in host else []
                self._ip("-n", self.name, "address", "add", host, "dev", "lo", *more)
            for at, real in network.items():
                door = self._inside(lambda at=at: socket.create_server(at, backlog=512))
                service = Service(pass_on(real), door=door)
                self._undo.enter_context(contextlib.closing(service))
            for at, answer in datagrams.items():
                answering = DatagramService(answer, self._inside(lambda at=at: bound(at)))
                self._undo.enter_context(contextlib.closing(answering))
            failing.pop_all()

    def _inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        """A socket is of the namespace of the thread that makes it, and stays there."""
        made: list[socket.socket] = []

        def run() -> None:
            with Path(f"/run/netns/{self.name}").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == -1:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(make())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return made[0]

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    def run(self, argv: list[str]) -> str:
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *argv], env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=RUN_S, check=False,
        ).stdout  # fmt: skip

    def close(self) -> None:
        self._undo.close()
