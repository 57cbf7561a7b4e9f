"""What the doctor sees of machines that differ, each set up in earnest."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from laptop import TOP, lent
from rig import COMMAND, Telepresence

WITH = Path(__file__).with_name("with-resolver")
UNPACKED = TOP / "build" / "unpacked"


def test_nothing_stands_in_the_way_here(telepresence: Telepresence) -> None:
    done = telepresence("doctor", "-m", "inject-tcp")
    assert done.code == 0, done.out + done.err
    assert "nothing stands in the way" in done.out.splitlines()[-1]
    assert "you may all that a new pod takes" in done.out
    assert "the image telepresence-agent" in done.out
    assert all(line.startswith(("ok", "limit", "NO")) for line in done.out.splitlines()[:-1])


def test_a_context_that_is_unknown(telepresence: Telepresence) -> None:
    done = telepresence("doctor", "--context", "no-such-context")
    assert done.code == 2
    assert "no context no-such-context" in done.said[0]


def test_without_root_or_sudo(telepresence: Telepresence, kubeconfig: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = pwd.getpwnam("nobody")
    own = telepresence.directory / "kubeconfig"
    shutil.copy(kubeconfig, own)
    for path in (own, telepresence.directory):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in telepresence.directory.parents[:2]:
        parent.chmod(0o755)
    done = subprocess.run(
        [str(COMMAND), "doctor"], cwd=telepresence.directory, user=nobody.pw_uid,
        group=nobody.pw_gid, extra_groups=[], capture_output=True, text=True, check=False,
        env={"KUBECONFIG": str(own), "PATH": str(telepresence.directory)}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "NO    vpn-tcp     neither root nor sudo; use -m inject-tcp" in done.stdout
    assert "NO    container   there is no docker" in done.stdout


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("mdns-all", "limit vpn-tcp     names in .local do not get through libc: mdns4"),
        ("nss-resolve", "limit vpn-tcp     names in .local do not get through libc: systemd"),
        ("files", "NO    vpn-tcp     libc asks no name server"),
        ("stub", "name servers can be captured: 127.0.0.53, 198.18.0.53"),
    ],
)
def test_how_names_are_resolved_is_said(tmp_path: Path, way: str, said: str) -> None:
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        pytest.skip("laptops need root or sudo")
    if not (UNPACKED / ".names").is_file():
        pytest.skip("the packages of the resolvers could not be downloaded by make setup")
    with lent(tmp_path) as laptop:
        words = laptop.on(str(WITH), way, str(UNPACKED), str(COMMAND), "doctor", "-m", "vpn-tcp")
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert said in done.stdout, done.stderr
        assert done.returncode == (1 if said.startswith("NO") else 0)
