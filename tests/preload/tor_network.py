"""A whole Tor network of one's own on loopback: an authority, relays, and a client (tor(1)).

Called by: test_torsocks.py.
Owns: its processes and its folder, until it is closed.
Never: a packet beyond loopback: relays send from 127.0.0.1, and ask no name server.
"""

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from telepresence.proc import bound_to_us

FAR = "198.18.0.1"  # what the client asks for, and an exit finds on its own loopback
NAME = "web"
AUTHORITY, RELAYS = "authority", ("authority", "one", "two")  # a path has three hops
READY_S = 90.0  # 13 to 27 s on two busy cores: the first votes are counted after 10
END_S = 20.0

EVERYBODY = """TestingTorNetwork 1
Nickname {name}
DataDirectory {folder}/{name}
Log notice file {folder}/{name}.log
Address 127.0.0.1
ContactInfo none
AssumeReachable 1
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
"""
RELAY = """ORPort 127.0.0.1:{port}
SocksPort 0
ExitRelay 1
ExitPolicyRejectPrivate 0
ExitPolicy accept *:*
OutboundBindAddress 127.0.0.1
ServerDNSDetectHijacking 0
ServerDNSAllowBrokenConfig 1
ServerDNSResolvConfFile {folder}/resolv.conf
"""
VOTES = """DirPort 127.0.0.1:{port}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
"""
CLIENT = f"""SocksPort 127.0.0.1:{{port}}
MapAddress {FAR} 127.0.0.1
MapAddress {NAME} 127.0.0.1
UseEntryGuards 0
ConfluxEnabled 0
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


class Network:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in (*RELAYS, "votes", "client")}
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        self._line = self._authority_line()

    def _settings(self, name: str, *parts: tuple[str, int]) -> str:
        text = EVERYBODY.format(name=name, folder=self._folder)
        return text + "".join(part.format(port=port, folder=self._folder) for part, port in parts)

    def _tor(self, name: str, settings: str, *words: str) -> list[str]:
        (self._folder / f"{name}.rc").write_text(settings)
        return ["tor", "-f", str(self._folder / f"{name}.rc"), "--quiet", *words]

    @property
    def _environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self._folder)}

    def _authority_line(self) -> str:
        """Who votes: its keys are made here."""
        keys = self._folder / AUTHORITY / "keys"
        keys.mkdir(parents=True, mode=0o700)
        keys.parent.chmod(0o700)
        door = f"127.0.0.1:{self._ports['votes']}"
        subprocess.run(
            ["tor-gencert", "--create-identity-key", "-m", "1", "-a", door, "--passphrase-fd", "0",
             "-i", keys / "authority_identity_key", "-s", keys / "authority_signing_key",
             "-c", keys / "authority_certificate"],
            input=b"none\n", check=True, capture_output=True, timeout=END_S,
        )  # fmt: skip
        certificate = (keys / "authority_certificate").read_text()
        found = re.search(r"^fingerprint (\w+)", certificate, re.MULTILINE)
        assert found is not None
        head = f"DirAuthority {AUTHORITY} orport={self._ports[AUTHORITY]} v3ident={found[1]} {door}"
        settings = self._settings(AUTHORITY, (RELAY, self._ports[AUTHORITY]))
        argv = self._tor(AUTHORITY, f"{settings}{head} {'0' * 40}\n", "--list-fingerprint")
        said = subprocess.check_output(argv, env=self._environ, text=True, timeout=END_S)
        return f"{head} {''.join(said.split()[1:])}\n"

    def _argv(self, name: str) -> list[str]:
        parts = [(CLIENT if name == "client" else RELAY, self._ports[name])]
        if name == AUTHORITY:
            parts.append((VOTES, self._ports["votes"]))
        return self._tor(name, self._settings(name, *parts) + self._line)

    def _wait(self) -> None:
        log, deadline = self._folder / "client.log", time.monotonic() + READY_S
        while not log.exists() or "Bootstrapped 100%" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)  # tor tells it there, and by a control port that would ask for more

    @contextlib.contextmanager
    def run(self) -> Iterator[int]:
        """The port of the client's SOCKS server, once it has a way to an exit."""
        with contextlib.ExitStack() as stack:
            for name in (*RELAYS, "client"):
                words = bound_to_us(self._argv(name))
                tor = stack.enter_context(subprocess.Popen(words, env=self._environ))
                stack.callback(tor.terminate)
            self._wait()
            yield self._ports["client"]
