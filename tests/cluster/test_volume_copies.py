"""--mount copy: what kubelet writes, on a laptop without FUSE."""

import json
import shutil
import signal
from pathlib import Path

from rig import DEADLINE_S, Telepresence, kubectl
from volume_scene import Session
from workloads import until

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
COPY = ("--mount", "copy")
COPIED = Path("/dev/shm")


def left() -> list[Path]:
    return list(COPIED.glob("telepresence-*-volumes"))


def test_without_fuse_the_volumes_are_files_that_are_renewed(
    telepresence: Telepresence, web: str
) -> None:
    programs = telepresence.directory / "programs"
    programs.mkdir()
    for name in ("sh", "cat", "kubectl"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    without = {"PATH": str(programs), "XDG_RUNTIME_DIR": ""}
    with Session(telepresence, web, *COPY, env=without) as session:
        root = Path(session("root"))
        assert root.parent == COPIED
        assert root.stat().st_mode & 0o777 == 0o700
        assert session.read("/etc/config/plain") == "from the map"
        assert session.read("/etc/config/bytes") == "\xff\0\n"
        assert session.read("/etc/secret/password") == "hunter2"
        assert session.read("/etc/projected/deep/er/plain") == "from the map"
        assert 'app="web"' in session.read("/etc/podinfo/labels")
        assert session.read("/app/one.conf") == "from the map"
        assert session.read(f"{ACCOUNT}/namespace") == web
        assert session("os.path.exists(root + '/scratch')") is False
        change = {"data": {"plain": "changed", "lines": None, "added": "new"}}
        kubectl("patch", "-n", web, "configmap/config", "-p", json.dumps(change))
        pod = session("os.environ['TELEPRESENCE_POD']")
        kubectl("annotate", "-n", web, f"pod/{pod}", "hurry=1")
        until(lambda: session.read("/etc/config/plain") == "changed", 100)
        assert session.read("/etc/config/added") == "new"
        assert session.read("/etc/config/lines") == "ENOENT"
        until(lambda: session.read("/etc/projected/deep/er/plain") == "changed", 100)
    before = {"data": {"plain": "from the map", "lines": "one\ntwo\n", "added": None}}
    kubectl("patch", "-n", web, "configmap/config", "-p", json.dumps(before))
    said = session.said
    assert "T: --mount copy leaves out /claim, /frozen, /host, /scratch" in said
    assert not left()


def test_copies_are_at_their_real_paths_too(telepresence: Telepresence, web: str) -> None:
    done = telepresence("-m", "inject-tcp", "--namespace", web, "-s", "web", *COPY,
                        "--volumes-at-real-paths", "--run", "cat", "/etc/config/plain",
                        "/app/one.conf", f"{ACCOUNT}/namespace")  # fmt: skip
    assert done.out == f"from the mapfrom the map{web}", done.err
    assert not left()


def test_copies_are_gone_after_kill_9(telepresence: Telepresence) -> None:
    words = ("-m", "inject-tcp", *COPY, "--run", "sh", "-c", "echo; exec cat")
    with telepresence.running(*words) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert left()
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
        until(lambda: not left(), 20)
        until(lambda: not telepresence.journals(), 20)


def test_without_fuse_it_is_said_what_can_be_done(telepresence: Telepresence) -> None:
    programs = telepresence.directory / "programs"
    programs.mkdir()
    (programs / "true").symlink_to(shutil.which("true") or "/bin/true")
    without = {"PATH": str(programs)}
    words = ("-m", "inject-tcp", "--run", "true")
    done = telepresence("--mount", "true", *words, env=without)
    assert done.code == 255
    assert done.said[0].startswith("T: volumes cannot be mounted: there is no sshfs"), done.err
    assert "--mount copy does without FUSE, --mount false without volumes" in done.err
    done = telepresence(*words, env=without)
    assert done.code == 0
    assert "no volumes: there is no sshfs on this machine" in done.err
    done = telepresence("--mount", "false", *words, env=without)
    assert (done.code, "sshfs" in done.err) == (0, False)
