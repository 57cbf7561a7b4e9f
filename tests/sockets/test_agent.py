"""The agent as a process: who may be its carrier, and when it ends."""

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telepresence import hello
from telepresence.agent.services import SFTP_SERVER
from telepresence.fastpath import Engine, SocksServer, Tunnel
from telepresence.mountinfo import take_mounts
from wires import (
    CONNECT,
    DEADLINE_S,
    Server,
    listener,
    open_socks,
    read_exactly,
    read_reply,
    request,
)


class Agent:
    """A running agent and what its laptop would know."""

    def __init__(self, *, resume_s: float = 20, first_s: float = 20, stands: bool = False) -> None:
        self.session, self.secret = secrets.token_bytes(16), secrets.token_bytes(32)
        with listener() as one, listener() as two:
            self.carrier_port, self.socks_port = one.getsockname()[1], two.getsockname()[1]
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "telepresence.agent",
                *([] if stands else [
                    "--session", self.session.hex(),
                    "--secret-sha256", hashlib.sha256(self.secret).hexdigest(),
                ]),
                "--carrier-port", str(self.carrier_port),
                "--socks-port", str(self.socks_port),
                "--resume-timeout", str(resume_s),
                "--first-client-timeout", str(first_s),
            ],
            env={**os.environ, "FROM_THE_POD": "two\nlines", "BYTES": "\udcff=\udcfe"},
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def knock(self) -> socket.socket:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.carrier_port), DEADLINE_S)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def carrier(
        self, received: int, *, session: bytes = b"", secret: bytes = b""
    ) -> tuple[socket.socket, hello.Welcome]:
        with contextlib.ExitStack() as unless_welcome:
            sock = unless_welcome.enter_context(self.knock())
            sock.sendall(hello.make_hello(session or self.session, secret or self.secret, received))
            welcome = hello.take_welcome(read_exactly(sock, hello.WELCOME_BYTES))
            assert welcome is not None
            unless_welcome.pop_all()
        return sock, welcome

    def join(self, tunnel: Tunnel) -> None:
        sock, welcome = self.carrier(tunnel.detach())
        with sock:  # until it is the tunnel's
            assert welcome.code is hello.Code.WELCOME
            tunnel.attach(sock.detach(), welcome.received)

    def end(self) -> tuple[int, str]:
        """Its exit code and what it said, once it has ended by itself."""
        _, said = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, said.decode()

    def close(self) -> None:
        self.process.kill()
        with contextlib.suppress(ValueError):
            self.process.communicate()


@pytest.fixture
def agent(nothing_is_left: None) -> Iterator[Agent]:
    with contextlib.closing(Agent()) as running:
        yield running


@pytest.fixture
def tunnel(engine: Engine) -> Tunnel:
    return Tunnel(engine, role="laptop")


def test_connections_survive_a_new_carrier(
    agent: Agent, engine: Engine, tunnel: Tunnel, echo_server: Server
) -> None:
    agent.join(tunnel)
    port = SocksServer(engine, listener(), tunnel=tunnel).port
    with open_socks(port, request(CONNECT, "localhost", echo_server.port)) as sock:
        assert read_reply(sock)[0] == 0
        for number in range(5):
            sock.sendall(b"%d" % number)
            assert read_exactly(sock, 1) == b"%d" % number
            agent.join(tunnel)


def test_the_plain_socks_server_needs_no_tunnel(agent: Agent, echo_server: Server) -> None:
    agent.knock().close()
    with open_socks(agent.socks_port, request(CONNECT, "localhost", echo_server.port)) as sock:
        assert read_reply(sock)[0] == 0
        sock.sendall(b"plain")
        assert read_exactly(sock, 5) == b"plain"


def said(tunnel: Tunnel, service: str) -> bytes:
    with socket.socket(fileno=tunnel.open_service(service)) as sock:
        sock.settimeout(DEADLINE_S)
        assert read_reply(sock)[0] == 0
        data = b""
        while more := sock.recv(65_536):
            data += more
    return data


def test_the_environment_comes_as_the_kernel_has_it(agent: Agent, tunnel: Tunnel) -> None:
    agent.join(tunnel)
    entries = said(tunnel, "environ").split(b"\0")
    assert {b"FROM_THE_POD=two\nlines", b"BYTES=\xff=\xfe"} <= set(entries)


def test_a_megabyte_of_environment_comes_whole(
    nothing_is_left: None, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = {f"BIG_{number}": chr(ord("a") + number) * 100_000 for number in range(11)}
    for name, value in big.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(Agent()) as agent:
        agent.join(tunnel)
        entries = set(said(tunnel, "environ").split(b"\0"))
    assert entries >= {f"{name}={value}".encode() for name, value in big.items()}


def test_the_mounts_come_as_the_kernel_has_them(agent: Agent, tunnel: Tunnel) -> None:
    agent.join(tunnel)
    ours = take_mounts(Path("/proc/self/mountinfo").read_bytes())
    assert set(take_mounts(said(tunnel, "mounts"))) == set(ours)


def test_an_sftp_server_has_a_stream_to_itself(agent: Agent, tunnel: Tunnel) -> None:
    """draft-ietf-secsh-filexfer-02: INIT 3 is answered by VERSION 3, and an end by an end."""
    if not Path(SFTP_SERVER).exists():
        pytest.skip(f"there is no {SFTP_SERVER} on this machine")
    agent.join(tunnel)
    with socket.socket(fileno=tunnel.open_service("sftp")) as sock:
        sock.setblocking(True)
        sock.settimeout(DEADLINE_S)
        assert read_reply(sock)[0] == 0
        sock.sendall(b"\0\0\0\5\1\0\0\0\3")
        length = int.from_bytes(read_exactly(sock, 4))
        assert read_exactly(sock, length)[:5] == b"\2\0\0\0\3"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_an_unknown_service_is_an_end_of_file(agent: Agent, tunnel: Tunnel) -> None:
    agent.join(tunnel)
    with socket.socket(fileno=tunnel.open_service("no-such")) as sock:
        sock.settimeout(DEADLINE_S)
        assert read_reply(sock)[0] == 0
        assert sock.recv(1) == b""


def test_a_wrong_secret_or_session_is_refused_and_harms_nothing(
    agent: Agent, tunnel: Tunnel
) -> None:
    agent.join(tunnel)
    for wrong in ({"secret": bytes(32)}, {"session": bytes(16)}):
        sock, welcome = agent.carrier(0, **wrong)
        with sock:
            assert welcome.code is hello.Code.WRONG_SECRET
            assert sock.recv(1) == b""
    assert tunnel.stats()["attached"]
    with agent.knock() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
    agent.join(tunnel)


def test_an_offset_that_was_never_sent_is_refused(agent: Agent) -> None:
    sock, welcome = agent.carrier(2**40)
    with sock:
        assert welcome.code is hello.Code.TOO_LATE


def test_it_ends_when_its_client_stays_away(nothing_is_left: None, engine: Engine) -> None:
    with contextlib.closing(Agent(resume_s=0.3)) as agent:
        tunnel = Tunnel(engine, role="laptop")
        agent.join(tunnel)
        tunnel.detach()
        code, said = agent.end()
        assert code == 0
        assert "gone for 0.3 s" in said


def test_it_ends_when_no_client_comes(nothing_is_left: None) -> None:
    with contextlib.closing(Agent(first_s=0.3)) as agent:
        code, said = agent.end()
        assert code == 0
        assert "no client came for 0.3 s" in said


def test_sigterm_ends_it_at_once(agent: Agent) -> None:
    agent.carrier(0)[0].close()
    began = time.monotonic()
    agent.process.send_signal(signal.SIGTERM)
    code, said = agent.end()
    assert (code, "SIGTERM" in said) == (0, True)
    assert time.monotonic() - began < 2


def test_a_port_in_use_is_named(agent: Agent) -> None:
    agent.knock().close()
    second = subprocess.run(
        [
            sys.executable, "-m", "telepresence.agent",
            "--session", "0" * 32, "--secret-sha256", "0" * 64,
            "--carrier-port", str(agent.carrier_port),
        ],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"127.0.0.1:{agent.carrier_port}" in second.stderr
    assert len(second.stderr.splitlines()) == 1


# ---- a standing agent, which was told no session


@pytest.fixture
def standing(nothing_is_left: None) -> Iterator[Agent]:
    with contextlib.closing(Agent(stands=True, first_s=0.2, resume_s=1)) as running:
        yield running


def hold(agent: Agent, tunnel: Tunnel, who: bytes, patience_s: float = DEADLINE_S) -> socket.socket:
    agent.join(tunnel)
    stream = socket.socket(fileno=tunnel.open_service("holder"))
    stream.setblocking(True)
    stream.settimeout(patience_s)
    assert read_reply(stream)[0] == 0
    stream.sendall(who)
    return stream


def leave(tunnel: Tunnel, stream: socket.socket) -> None:
    with stream:
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(1) == b""
    tunnel.close()


def refused(agent: Agent, **other: bytes) -> tuple[hello.Code, str]:
    sock, welcome = agent.carrier(0, **other)
    with sock:
        return welcome.code, sock.recv(1000).decode()


def welcomed(agent: Agent, received: int = 0) -> hello.Code:
    """As a laptop whose session is another one each time; a carrier that the agent drops while it
    changes sessions is tried again."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(OSError, EOFError, AssertionError):
            agent.session = secrets.token_bytes(16)
            sock, welcome = agent.carrier(received)
            sock.close()
            if welcome.code is not hello.Code.IN_USE:
                return welcome.code
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_standing_agent_waits_for_its_client_for_ever(standing: Agent) -> None:
    standing.knock().close()
    with pytest.raises(subprocess.TimeoutExpired):
        standing.process.wait(0.6)  # three times what another agent would wait


def test_a_standing_agent_is_the_firsts_and_says_so_to_others(
    standing: Agent, tunnel: Tunnel
) -> None:
    stream = hold(standing, tunnel, b"ann@east since noon\x1b[2J")
    other = {"session": bytes(16), "secret": bytes(32)}
    deadline = time.monotonic() + DEADLINE_S
    while (answer := refused(standing, **other)) != (
        hello.Code.IN_USE,
        "ann@east since noon[2J",
    ):
        assert answer == (hello.Code.IN_USE, "somebody")  # not yet said who
        assert time.monotonic() < deadline
    assert refused(standing, secret=bytes(32))[0] is hello.Code.WRONG_SECRET
    assert tunnel.stats()["attached"]
    standing.join(tunnel)  # a new carrier of its own
    leave(tunnel, stream)


def test_who_has_left_is_in_nobodys_way(standing: Agent, tunnel: Tunnel) -> None:
    """Though its carrier is still there: its end may be told of after the next one comes."""
    stream = hold(standing, tunnel, b"ann")
    with stream:
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(1) == b""
    standing.session = secrets.token_bytes(16)
    with pytest.raises((OSError, EOFError)):  # dropped, not refused: it tries again
        standing.carrier(0)
    assert welcomed(standing) is hello.Code.WELCOME


def test_the_next_may_come_as_soon_as_the_first_has_left(
    standing: Agent, engine: Engine, echo_server: Server
) -> None:
    """And nothing of the first is there: neither its streams nor its name."""
    for who in (b"ann", b"bob", b"eve"):
        began = time.monotonic()
        while True:  # a session that did not come about is not gone on with
            standing.session, standing.secret = secrets.token_bytes(16), secrets.token_bytes(32)
            tunnel = Tunnel(engine, role="laptop")
            with contextlib.suppress(OSError, EOFError, AssertionError):
                stream = hold(standing, tunnel, who, patience_s=1)
                break
            tunnel.close()
            assert time.monotonic() - began < DEADLINE_S
            time.sleep(0.02)
        socks = SocksServer(engine, listener(), tunnel=tunnel)
        with open_socks(socks.port, request(CONNECT, "localhost", echo_server.port)) as sock:
            assert read_reply(sock)[0] == 0
            sock.sendall(who)
            assert read_exactly(sock, 3) == who
        assert time.monotonic() - began < 10
        leave(tunnel, stream)


def test_one_that_vanishes_keeps_it_for_the_resume_time(standing: Agent, tunnel: Tunnel) -> None:
    stream = hold(standing, tunnel, b"ann")
    with stream:
        began = time.monotonic()
        tunnel.detach()
        assert welcomed(standing) is hello.Code.WELCOME
        assert time.monotonic() - began > 0.9


def test_one_that_comes_back_after_its_session_was_over_is_told_so(standing: Agent) -> None:
    sock, welcome = standing.carrier(1000)
    with sock:
        assert welcome.code is hello.Code.TOO_LATE
    assert welcomed(standing) is hello.Code.WELCOME


def test_sigterm_ends_a_standing_agent_too(standing: Agent) -> None:
    standing.carrier(0)[0].close()
    standing.process.send_signal(signal.SIGTERM)
    code, said = standing.end()
    assert (code, "SIGTERM" in said) == (0, True)


def test_half_a_session_is_no_session() -> None:
    done = subprocess.run([sys.executable, "-m", "telepresence.agent", "--session", "0" * 32],
                          capture_output=True, text=True, timeout=DEADLINE_S)  # fmt: skip
    assert done.returncode == 2
    assert "go together" in done.stderr
