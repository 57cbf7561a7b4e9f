"""The pod's files in a container: where they are asked for, for any user, and gone afterwards."""

import json
import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_rig import BASE, RUN
from rig import DEADLINE_S, Telepresence
from workloads import apply, until_ready, workload

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")

SECRETS = "var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(autouse=True)
def no_mount_is_left() -> object:
    def mounts() -> str:
        return subprocess.run(["findmnt", "-rno", "TARGET", "-t", "fuse.sshfs"],
                              capture_output=True, text=True, check=False).stdout  # fmt: skip

    before = mounts()
    yield
    assert mounts() == before


@pytest.fixture
def swapped(namespace: str) -> tuple[str, ...]:
    """The words of a swap whose pod has a writable volume and a read-only one."""
    made = workload("web", replicas=1)
    spec = made["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "emptyDir": {}},
                       {"name": "conf", "configMap": {"name": "conf"}}]  # fmt: skip
    spec["containers"][0]["volumeMounts"] = [
        {"name": "data", "mountPath": "/data"},
        {"name": "conf", "mountPath": "/etc/conf", "readOnly": True},
    ]
    conf = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"},
            "data": {"key": "a value"}}  # fmt: skip
    apply(namespace, conf, made)
    until_ready(namespace, "deployment/web")
    return ("--namespace", namespace, "-s", "web")


def test_at_a_path_of_the_container(
    telepresence: Telepresence, swapped: tuple[str, ...], namespace: str, tmp_path: Path
) -> None:
    """For a user that the laptop does not know, under a root that is read-only."""
    words = ("--docker-mount", "/pod", "--env-json", "env.json", *RUN, "--user", "1234:5678",
             "--read-only", BASE)  # fmt: skip
    script = f"""
echo $TELEPRESENCE_ROOT; cat /pod/{SECRETS}/namespace; echo; cat /pod/etc/conf/key; echo
echo x > /pod/data/mine && cat $TELEPRESENCE_ROOT/data/mine
echo x > /pod/etc/conf/key || echo denied"""
    done = telepresence(*swapped, *words, "sh", "-c", script)
    expected = ["/pod", namespace, "a value", "x", "denied"]
    assert done.out.splitlines() == expected, done.err
    assert "Read-only file system" in done.err
    environ = json.loads((tmp_path / "env.json").read_text())
    assert environ["TELEPRESENCE_ROOT"] == "/pod"
    assert {"/etc/conf", "/data", f"/{SECRETS}"} <= set(environ["TELEPRESENCE_MOUNTS"].split(":"))


def test_where_the_laptop_has_them(
    telepresence: Telepresence, swapped: tuple[str, ...], namespace: str, tmp_path: Path
) -> None:
    """--mount PATH is a known place, for -v; and a detached container has it too."""
    place = tmp_path / "known"
    words = (f"--mount={place}", *RUN, "-d", "-v", f"{place}/var/run/secrets:/var/run/secrets",
             "-v", f"{tmp_path}:/out", BASE)  # fmt: skip
    script = f"(echo $TELEPRESENCE_ROOT; cat /{SECRETS}/namespace $TELEPRESENCE_ROOT/etc/conf/key)"
    done = telepresence(*swapped, *words, "sh", "-c", f"{script} > /out/said")
    assert done.code == 0, done.err
    assert (tmp_path / "said").read_text() == f"{place}\n{namespace}a value"


def test_as_copies_for_any_user(
    telepresence: Telepresence, swapped: tuple[str, ...], namespace: str
) -> None:
    """What is done where no mount can be shared with the engine."""
    words = ("--mount", "copy", *RUN, "--user", "1234:5678", BASE)
    script = f"cd $TELEPRESENCE_ROOT; cat {SECRETS}/namespace; cat etc/conf/key; ls data"
    done = telepresence(*swapped, *words, "sh", "-c", script)
    assert done.out == f"{namespace}a value", done.err
    assert any("leaves out /data" in line for line in done.said)


@pytest.fixture
def shown_to_the_engine(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts another mount namespace shows to this one, where the engine is."""
    place = tmp_path / "tmp"
    place.mkdir()
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("conf", "shown"), [("", "copies"), ("user_allow_other\n", "live")])
def test_an_ordinary_user_who_may_use_the_engine(
    telepresence: Telepresence, swapped: tuple[str, ...], kubeconfig: Path, tmp_path: Path,
    shown_to_the_engine: Path, conf: str, shown: str,
) -> None:  # fmt: skip
    """Neither sudo nor a plugin: live where /etc/fuse.conf lets a mount be shared, else copies."""
    nobody = pwd.getpwnam("nobody")
    own, fuse_conf = tmp_path / "kubeconfig", tmp_path / "fuse.conf"
    shutil.copy(kubeconfig, own)
    fuse_conf.write_text(conf)
    for path in (own, tmp_path, shown_to_the_engine):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    look = """
cat /pod/etc/conf/key; echo
(echo live > /pod/data/mine) 2>/dev/null && cat /pod/data/mine || echo copies"""
    words = telepresence.argv(*swapped, "--docker-mount", "/pod", *RUN, "--user", "1234", BASE,
                              "sh", "-c", look)  # fmt: skip
    become = ["setpriv", "--reuid", "nobody", "--regid", str(nobody.pw_gid), "--groups", "docker"]
    script = f"mount --bind {fuse_conf} /etc/fuse.conf && exec {shlex.join([*become, *words])}"
    chosen = {"KUBECONFIG": str(own), "HOME": str(tmp_path), "TMPDIR": str(shown_to_the_engine)}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script], cwd=tmp_path,
        text=True, capture_output=True, env=telepresence.environ(chosen), timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["a value", shown], done.stderr
    assert ("no user_allow_other: so copies" in done.stderr) is (shown == "copies")


def test_in_a_directory_of_the_sessions_own_or_not_at_all(telepresence: Telepresence) -> None:
    script = f'echo $TELEPRESENCE_ROOT; cat "$TELEPRESENCE_ROOT/{SECRETS}/namespace"'
    done = telepresence(*RUN, BASE, "sh", "-c", script)
    root, namespace = done.out.splitlines()
    assert (root.startswith("/tmp/telepresence-"), namespace) == (True, "default"), done.err
    assert not Path(root).exists()
    done = telepresence("--mount", "false", *RUN, BASE, "sh", "-c", 'echo "[$TELEPRESENCE_ROOT]"')
    assert done.out == "[]\n"
