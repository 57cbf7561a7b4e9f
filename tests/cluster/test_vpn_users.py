"""vpn-tcp for an ordinary user: what sudo lets pass, asks and refuses."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import terminal

from laptop import Laptop, lent
from rig import COMMAND, Telepresence
from telepresence.method.vpn.firewall import HELPER

NOBODY = 65534
PASSWORD = "of nobody at all"
# In a laptop's own mount namespace: what sudo knows, for this command alone.
AS_NOBODY = """
mount --bind "$1/sudoers" /etc/sudoers
mount --bind "$1/shadow" /etc/shadow
export HOME="$1" KUBECONFIG="$1/kubeconfig" PATH=/usr/local/bin:/usr/bin:/bin
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
"""
INTERPRETER = COMMAND.read_text().partition("\n")[0].removeprefix("#!")
# As docs/vpn-tcp.md has it: this one program, whatever its arguments.
ONE_RULE = f"{INTERPRETER} -I {HELPER} *"


class Guest(Laptop):
    """The command, for the user nobody."""

    def argv(self, *words: str) -> list[str]:
        own = Telepresence.argv(self, "--method", "vpn-tcp", *words)
        return self.on("sh", "-ec", AS_NOBODY, "sh", str(self.directory), *own)

    def sudoers(self, may: str) -> None:
        path = self.directory / "sudoers"
        path.unlink(missing_ok=True)
        path.write_text(f"Defaults env_reset, use_pty, timestamp_timeout=0\nnobody ALL = {may}\n")
        path.chmod(0o440)


@pytest.fixture
def guest(tmp_path: Path, kubeconfig: Path) -> Iterator[Guest]:
    if os.geteuid() != 0:
        pytest.skip("only root can give another user a sudoers file")
    if shutil.which("sudo") is None:
        pytest.skip("there is no sudo")
    shutil.copy(kubeconfig, tmp_path / "kubeconfig")
    for path in (tmp_path, tmp_path / "kubeconfig"):
        os.chown(path, NOBODY, NOBODY)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, text=True,
                            capture_output=True).stdout.strip()  # fmt: skip
    (tmp_path / "shadow").write_text(f"root:*:19000::::::\nnobody:{hashed}:19000:0:99999:7:::\n")
    (tmp_path / "shadow").chmod(0o600)
    with lent(tmp_path) as made:
        before = made.rules()
        yield Guest(made.name, tmp_path)
        assert made.rules() == before


WHO = ("sh", "-c", "id -u; curl -sS -m 10 http://helloworld | cut -c1-5; nc -z web-0.web 1 || id")


def test_with_a_rule_for_the_one_program_nothing_is_asked(guest: Guest) -> None:
    guest.sudoers(f"(root) NOPASSWD: {ONE_RULE}")
    done = guest("--run", *WHO)
    assert done.out.split()[:3] == ["65534", "Hello", "uid=65534(nobody)"], done.err
    assert "assword" not in done.err


def test_without_a_terminal_a_password_is_not_asked_for(guest: Guest) -> None:
    guest.sudoers("(root) ALL")
    done = guest("--run", *WHO)
    assert (done.code, done.out) == (255, "")
    what, hint = done.err.splitlines()
    assert "sudo refuses: sudo: a password is required" in what
    assert "run 'sudo -v' first, run in a terminal, or use -m inject-tcp" in hint
    assert "created pod" not in guest.log.read_text()


def test_on_a_terminal_the_password_is_asked_for_once(guest: Guest) -> None:
    guest.sudoers("(root) ALL")
    with terminal(guest.argv("--run", *WHO), guest.environ(None), guest.directory) as screen:
        screen.wait("assword for nobody: ")
        screen.type(f"{PASSWORD}\n")
        assert "assword" not in screen.wait("65534\\s+Hello\\s+uid=65534")
        assert screen.process.wait(40) == 0


def is_sudo(words: str) -> bool:
    return words.partition(" ")[0].endswith("sudo")


def end_sudo(guest: Guest) -> None:
    """The oldest: on a terminal another one watches it (sudoers(5), use_pty)."""
    os.kill(next(pid for pid, words in guest.processes() if is_sudo(words)), signal.SIGKILL)


def until_as_before(guest: Guest, before: str) -> None:
    deadline = time.monotonic() + 20
    while guest.rules() != before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not [words for _, words in guest.processes() if "privileged.py" in words]


def test_when_sudo_is_killed_the_session_goes_on_and_leaves_nothing(guest: Guest) -> None:
    guest.sudoers(f"(root) NOPASSWD: {ONE_RULE}")
    before = guest.rules()
    script = "read answer; curl -sS -m 10 http://helloworld"
    with guest.running("--run", "sh", "-c", script) as process:
        guest.wait_log("stage: process started")
        end_sudo(guest)
        assert process.communicate("go\n", timeout=60)[0].startswith("Hello")
    until_as_before(guest, before)


def test_when_sudo_is_killed_on_a_terminal_nothing_is_left(guest: Guest) -> None:
    guest.sudoers(f"(root) NOPASSWD: {ONE_RULE}")
    before = guest.rules()
    words = guest.argv("--run", "sh", "-c", "echo begun; sleep 60")
    with terminal(words, guest.environ(None), guest.directory) as screen:
        screen.wait("begun")
        assert len([1 for _, words in guest.processes() if is_sudo(words)]) == 2
        end_sudo(guest)
        until_as_before(guest, before)
