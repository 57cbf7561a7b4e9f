"""The port-forward's process, in front of programs that do what kubectl may do."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from telepresence.errors import TunnelError
from telepresence.tunnel import portforward
from telepresence.tunnel.portforward import PortForward

DEADLINE_S = 10.0


def kubectl(tmp_path: Path, body: str) -> str:
    """A program that writes down its words and its process id, then does what the test says."""
    path = tmp_path / "kubectl"
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, signal, sys\n"
        f"pathlib.Path({str(tmp_path / 'argv')!r}).write_text(chr(10).join(sys.argv[1:]))\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "def say(text, fd=1): os.write(fd, text.encode())\n" + body
    )
    path.chmod(0o755)
    return str(path)


def is_gone(tmp_path: Path) -> bool:
    try:
        os.kill(int((tmp_path / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


async def start(program: str) -> PortForward:
    async with asyncio.timeout(DEADLINE_S):
        return await PortForward.start(
            program, context="east", namespace="prod", pod="p-1", port=9040
        )


UP = "say('Forwarding from 127.0.0.1:40123 -> 9040\\n')\nsignal.pause()\n"


def test_the_port_is_the_one_that_it_says(tmp_path: Path) -> None:
    async def scene() -> None:
        forward = await start(kubectl(tmp_path, UP))
        assert forward.port == 40123
        assert forward.alive
        await forward.close()
        await forward.close()
        assert not forward.alive

    asyncio.run(scene())
    assert is_gone(tmp_path)


def test_it_is_asked_for_one_pod_on_loopback_at_a_free_port(tmp_path: Path) -> None:
    async def scene() -> None:
        await (await start(kubectl(tmp_path, UP))).close()

    asyncio.run(scene())
    assert (tmp_path / "argv").read_text().split("\n") == [
        "--context=east", "--namespace=prod", "port-forward", "--address=127.0.0.1", "pod/p-1",
        ":9040",
    ]  # fmt: skip


def test_lines_before_the_port_and_pieces_of_it_are_no_matter(tmp_path: Path) -> None:
    body = (
        "say('a warning\\n', 2)\nsay('I0101 Forwarding is about to begin\\nForwarding from 127.')\n"
        "say('0.0.1:7 -> 9040\\n')\nsignal.pause()\n"
    )

    async def scene() -> int:
        forward = await start(kubectl(tmp_path, body))
        await forward.close()
        return forward.port

    assert asyncio.run(scene()) == 7


def test_one_that_ends_at_once_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    body = "say('Error from server (NotFound): pods not found\\n', 2)\nsys.exit(1)\n"
    with pytest.raises(TunnelError, match=r"ended: Error from server \(NotFound\)"):
        asyncio.run(start(kubectl(tmp_path, body)))
    assert is_gone(tmp_path)


def test_one_that_ends_without_a_word_is_told_by_its_code(tmp_path: Path) -> None:
    with pytest.raises(TunnelError, match="exit code 3"):
        asyncio.run(start(kubectl(tmp_path, "sys.exit(3)\n")))


def test_one_that_never_listens_is_ended_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portforward, "START_TIMEOUT_S", 1.0)
    with pytest.raises(TunnelError, match="to pod p-1 was not up after 1 s"):
        asyncio.run(start(kubectl(tmp_path, "signal.pause()\n")))
    assert is_gone(tmp_path)


def test_cancelling_the_start_ends_it(tmp_path: Path) -> None:
    door = tmp_path / "door"
    os.mkfifo(door)
    body = f"pathlib.Path({str(door)!r}).write_text('up')\nsignal.pause()\n"

    async def scene() -> None:
        starting = asyncio.ensure_future(start(kubectl(tmp_path, body)))
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.to_thread(door.read_text)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(scene())
    assert is_gone(tmp_path)


def test_more_words_than_a_pipe_holds_do_not_stop_it(tmp_path: Path) -> None:
    """kubectl writes a line for every connection: nobody may let it wait."""
    body = (
        "say('Forwarding from 127.0.0.1:7 -> 9040\\n')\n"
        "for _ in range(10_000):\n"
        "    say('Handling connection for 7\\n'); say('E0101 broken pipe\\n', 2)\n"
    )

    async def scene() -> None:
        forward = await start(kubectl(tmp_path, body))
        async with asyncio.timeout(DEADLINE_S):
            await forward._process.wait()
        assert not forward.alive
        await forward.close()

    asyncio.run(scene())


def test_ctrl_c_at_the_terminal_is_not_for_it(tmp_path: Path) -> None:
    async def scene() -> None:
        forward = await start(kubectl(tmp_path, UP))
        pid = int((tmp_path / "pid").read_text())
        assert os.getsid(pid) == pid
        await forward.close()

    asyncio.run(scene())
