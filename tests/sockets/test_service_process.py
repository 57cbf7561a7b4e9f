"""A service of the agent that is a process: its input and output are the stream, without Python."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from telepresence.fastpath import ServiceOpened
from test_listen import wait_event
from wires import DEADLINE_S, Ends, read_reply

MIB = 2**20
Start = Callable[[list[str]], tuple[socket.socket, "subprocess.Popen[bytes]"]]


@pytest.fixture
def start(ends: Ends) -> Iterator[Start]:
    """Starts a command as a service: the laptop's socket, behind the reply, and the process."""
    with contextlib.ExitStack() as stack:

        def run(command: list[str]) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
            sock = socket.socket(fileno=ends.laptop_tunnel.open_service("process"))
            stack.callback(sock.close)
            sock.settimeout(DEADLINE_S)
            event = wait_event(ends.agent)
            assert isinstance(event, ServiceOpened)
            os.set_blocking(event.fd, True)
            process = subprocess.Popen(command, stdin=event.fd, stdout=event.fd)
            os.close(event.fd)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert read_reply(sock)[0] == 0
            return sock, process

        yield run


def digest_of(sock: socket.socket) -> tuple[int, bytes]:
    """Size and digest of all bytes up to the end of file."""
    size, seen = 0, hashlib.sha256()
    while data := sock.recv(MIB):
        size += len(data)
        seen.update(data)
    return size, seen.digest()


def test_bytes_pass_unchanged_until_both_ends_have_ended(start: Start) -> None:
    sock, process = start(["cat"])
    data = os.urandom(MIB) * 64

    def send() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert digest_of(sock) == (len(data), hashlib.sha256(data).digest())
    sender.join()
    assert process.wait(DEADLINE_S) == 0


def test_the_end_of_input_is_not_the_end_of_output(start: Start) -> None:
    sock, process = start(["sh", "-c", "cat > /dev/null; echo after the end"])
    sock.sendall(b"x" * 100_000)
    sock.shutdown(socket.SHUT_WR)
    assert digest_of(sock)[0] == len("after the end\n")
    assert process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize("unread", [0, 1, 100_000])
def test_what_a_process_said_arrives_though_it_has_ended(
    ends: Ends, start: Start, unread: int
) -> None:
    """More than a socket holds, less than a window, and a reader that comes late."""
    size = 400_000
    sock, process = start(["head", "-c", str(size), "/dev/zero"])
    sock.sendall(bytes(unread))
    assert process.wait(DEADLINE_S) == 0
    got = 0
    with contextlib.suppress(ConnectionResetError):  # for what nobody has read
        while data := sock.recv(1000):
            got += len(data)
    assert got == size


def test_a_process_that_ends_while_input_flows(start: Start) -> None:
    sock, process = start(["sh", "-c", "head -c 70000 | wc -c"])
    sock.settimeout(1)
    with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
        for _ in range(1000):
            sock.sendall(bytes(65_536))
    assert sock.recv(100) == b"70000\n"
    assert process.wait(DEADLINE_S) == 0


def test_a_killed_process_is_an_end(start: Start) -> None:
    sock, process = start(["cat"])
    sock.sendall(b"alive")
    assert sock.recv(5) == b"alive"
    process.send_signal(signal.SIGKILL)
    assert sock.recv(1) == b""


def test_a_laptop_that_goes_away_ends_the_process(ends: Ends, start: Start) -> None:
    sock, process = start(["cat"])
    sock.close()
    assert process.wait(DEADLINE_S) == 0
    _, process = start(["cat"])
    ends.laptop_tunnel.close()
    assert process.wait(DEADLINE_S) == 0
