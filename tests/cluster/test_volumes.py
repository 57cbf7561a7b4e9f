"""The pod's file system on the laptop, through a real tunnel."""

import os
import pwd
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import DEADLINE_S, Telepresence
from volume_scene import left_of_volumes, mounts_of

INJECT = ("--method", "inject-tcp")
ACCOUNT = "$TELEPRESENCE_ROOT/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def pod(request: pytest.FixtureRequest) -> Iterator[str]:
    """A pod's name, of which no mount and no sshfs may be left, whoever was killed."""
    name = f"t-vol-{abs(hash(request.node.name)) % 10**8}"
    yield name
    assert not left_of_volumes(name)


def test_the_service_accounts_token_can_be_read_and_used(
    telepresence: Telepresence, pod: str
) -> None:
    script = (
        f"cd {ACCOUNT}; ls; cat namespace; echo; kubectl --kubeconfig=/dev/null "
        "--server=https://$KUBERNETES_SERVICE_HOST --certificate-authority=ca.crt "
        "--token=$(cat token) auth can-i --list | head -1"
    )
    done = telepresence(*INJECT, "-n", pod, "--run", "bash", "-c", script)
    lines = done.out.splitlines()
    assert lines[:4] == ["ca.crt", "namespace", "token", "default"], done.err
    assert lines[4].startswith("Resources"), done.err


def test_its_mounts_are_named_and_what_is_read_only_says_so(
    telepresence: Telepresence, pod: str
) -> None:
    script = f"echo $TELEPRESENCE_MOUNTS; echo x > {ACCOUNT}/x; stat -c '%U %a' {ACCOUNT}/token"
    done = telepresence(*INJECT, "-n", pod, "--run", "sh", "-c", script)
    owner = subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert done.out.splitlines() == [
        "/var/run/secrets/kubernetes.io/serviceaccount",
        f"{owner.strip()} 644",
    ]
    assert "Read-only file system" in done.err


def test_a_place_of_the_users_and_none(
    telepresence: Telepresence, pod: str, tmp_path: Path
) -> None:
    place = tmp_path / "pod" / "fs"
    done = telepresence(*INJECT, "-n", pod, "--mount", str(place), "--run", "sh", "-c",
                        "echo $TELEPRESENCE_ROOT; cat $TELEPRESENCE_ROOT/etc/hostname")  # fmt: skip
    assert done.out.splitlines() == [str(place), pod], done.err
    assert list(place.iterdir()) == []
    done = telepresence(*INJECT, "-n", pod, "--mount", "false", "--run", "sh", "-c",
                        "echo ${TELEPRESENCE_ROOT-unset} $TELEPRESENCE_MOUNTS")  # fmt: skip
    assert done.out.split() == ["unset", "/var/run/secrets/kubernetes.io/serviceaccount"]


def test_a_place_where_something_is_mounted_is_refused(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "--mount", "/proc", "--run", "true")
    assert done.code == 255
    assert done.said[0] == "T: cannot mount on /proc: something is mounted there"
    assert "created pod" not in telepresence.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_unmounted_when_telepresence_ends_while_files_are_open(
    telepresence: Telepresence, pod: str, number: signal.Signals
) -> None:
    """kill -9 as well: sshfs ends with the tunnel, and takes its mount along."""
    script = f"exec 3< {ACCOUNT}/token; cd {ACCOUNT}; echo open; exec cat"
    with telepresence.running(*INJECT, "-n", pod, "--run", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert mounts_of(pod)
        process.send_signal(number)
        process.wait(DEADLINE_S)
    subprocess.run(["kubectl", "delete", "pod", pod, "--ignore-not-found", "--now"],
                   stdout=subprocess.DEVNULL, check=True)  # fmt: skip


def test_a_child_that_is_killed_leaves_no_mount(telepresence: Telepresence, pod: str) -> None:
    script = f"exec < {ACCOUNT}/token; kill -KILL $$"
    assert telepresence(*INJECT, "-n", pod, "--run", "sh", "-c", script).code == 137


def test_an_ordinary_user_can_mount_also_at_real_paths(
    telepresence: Telepresence, pod: str, kubeconfig: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    own = tmp_path / "kubeconfig"
    shutil.copy(kubeconfig, own)
    nobody = pwd.getpwnam("nobody")
    for path in (own, tmp_path):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    # A mount namespace in which /dev/fuse is what it is on every desktop: for everybody.
    real = ACCOUNT.removeprefix("$TELEPRESENCE_ROOT")
    look = f"id -un; ls {ACCOUNT}; cat {real}/namespace; echo; grep CapEff /proc/self/status"
    words = telepresence.argv(*INJECT, "-n", pod, "--volumes-at-real-paths",
                              "--run", "sh", "-c", look)  # fmt: skip
    script = (
        "mknod fuse c 10 229 && chmod 666 fuse && mount --bind fuse /dev/fuse && "
        f"setpriv --reuid nobody --regid {nobody.pw_gid} --clear-groups -- "
        f"{shlex.join(words)}; grep -c fuse.sshfs /proc/self/mountinfo"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], cwd=tmp_path, text=True, capture_output=True,
        env={"KUBECONFIG": str(own), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    shown = "nobody ca.crt namespace token default CapEff: 0000000000000000 0"
    assert done.stdout.split() == shown.split(), done.stderr
