"""Every kind of volume, as a swapped workload's command on the laptop sees it."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from rig import Telepresence, kubectl
from volume_scene import INJECT, PLACES, READ_ONLY, Session, deployment, volume_objects
from workloads import apply, until, until_ready


def test_all_kinds_are_there_with_their_content_and_rights(
    telepresence: Telepresence, web: str
) -> None:
    with Session(telepresence, web) as session:
        account = "/var/run/secrets/kubernetes.io/serviceaccount"
        assert session("sorted(os.environ['TELEPRESENCE_MOUNTS'].split(':'))") == sorted(
            [*PLACES.values(), "/app/one.conf", "/frozen", account]
        )
        assert session.read("/etc/config/plain") == "from the map"
        assert session.read("/etc/config/a.b-c_d") == "odd"
        assert session.read("/etc/config/lines") == "one\ntwo\n"
        assert session.read("/etc/config/bytes") == "\xff\0\n"
        assert session.read("/etc/secret/password") == "hunter2"
        assert session.read("/etc/projected/deep/er/plain") == "from the map"
        assert session.read("/etc/projected/password") == "hunter2"
        assert 'app="web"' in session.read("/etc/podinfo/labels")
        assert session.read("/app/one.conf") == "from the map"
        assert session.read(f"{account}/namespace") == web
        for name, place in PLACES.items():
            assert session.write(f"{place}/new", "x") == ("EROFS" if name in READ_ONLY else 1), name
        assert session.write("/frozen/new", "x") == "EROFS"
        assert session.write("/app/one.conf", "x") == "EROFS"
        assert session("os.path.exists(root + '/of-the-other')") is False
    with Session(telepresence, web, "--mount", "true") as session:
        assert session.read("/claim/new") == "x"


def test_odd_names_links_and_files_of_the_host(
    telepresence: Telepresence, web: str, host: Path
) -> None:
    for name in ("two words", "two\nlines", "ünï\u2192", "-rf", "'\"$x`", "*"):
        (host / name).write_text(name)
    (host / b"\xff\xfe".decode(errors="surrogateescape")).write_text("bytes")
    (host / "outside").symlink_to("/etc/hostname")
    (host / "climbing").symlink_to("../" * 30 + "etc/hostname")
    (host / "nowhere").symlink_to("no/such")
    (host / "loop").symlink_to("loop")
    with Session(telepresence, web) as session:
        names = session(
            "sorted(os.fsencode(n).decode('latin-1') for n in os.listdir(root+'/host'))"
        )
        assert names == sorted(os.fsencode(n).decode("latin-1") for n in os.listdir(host))  # noqa: PTH208
        assert session.read("/host/two\nlines") == "two\nlines"
        assert session.read("/host/'\"$x`") == "'\"$x`"
        pod = session("os.environ['TELEPRESENCE_POD']")
        assert session.read("/host/outside").strip() == pod
        assert session.read("/host/climbing").strip() == pod
        assert pod != socket.gethostname()
        assert session.read("/host/nowhere") == "ENOENT"
        assert session.read("/host/loop") in ("ELOOP", "ENOENT", "EPERM")


def test_a_hundred_thousand_names(telepresence: Telepresence, web: str, host: Path) -> None:
    many = host / "many"
    many.mkdir()
    for number in range(100_000):
        os.close(os.open(many / f"entry-{number:06}", os.O_CREAT))
    with Session(telepresence, web) as session:
        began = time.monotonic()
        assert session("len(os.listdir(root + '/host/many'))") == 100_000
        assert time.monotonic() - began < 30
    shutil.rmtree(many)


def test_write_fsync_rename_append_growth_and_locks(
    telepresence: Telepresence, web: str, host: Path
) -> None:
    with Session(telepresence, web) as session:
        assert session.write("/host/draft", "all of it") == 9
        sync = "[os.fsync(fd := os.open(root + '/host/draft', os.O_RDWR)), os.close(fd)]"
        assert session(sync) == [None, None]
        (host / "final").write_text("old")
        assert session("os.rename(root + '/host/draft', root + '/host/final')") is None
        assert (host / "final").read_text() == "all of it"
        assert not (host / "draft").exists()
        assert session("open(root + '/host/final', 'a').write(' and more')") == 9
        assert session.read("/host/final") == "all of it and more"
        (host / "log").write_text("1")
        assert session("len((log := open(root + '/host/log')).read())") == 1
        with (host / "log").open("a") as log:
            log.write("23456")
        until(lambda: session.read("/host/log") == "123456", 6)
        assert session("os.remove(root + '/host/log')") is None
        assert not (host / "log").exists()
        assert session("[os.mkdir(root + '/host/d'), os.rmdir(root + '/host/d')]") == [None, None]
        locked = "fcntl.{}(open(root + '/host/final', 'r+'), fcntl.LOCK_EX)"
        assert session(locked.format("flock")) == "ENOLCK"
        assert session(locked.format("lockf")) == "ENOLCK"


def test_a_configmap_that_changes_is_seen(telepresence: Telepresence, web: str) -> None:
    """kubelet's own delay is up to a minute; a change of the pod's annotations hurries it."""
    with Session(telepresence, web) as session:
        assert session.read("/etc/config/plain") == "from the map"
        change = {"data": {"plain": "changed", "added": "new"}}
        kubectl("patch", "-n", web, "configmap/config", "-p", json.dumps(change))
        pod = session("os.environ['TELEPRESENCE_POD']")
        kubectl("annotate", "-n", web, f"pod/{pod}", "hurry=1")
        until(lambda: session.read("/etc/config/plain") == "changed", 100)
        assert session.read("/etc/config/added") == "new"
        assert session.read("/app/one.conf") == "from the map", "kubelet never renews a subPath"
    before = {"data": {"plain": "from the map", "added": None}}
    kubectl("patch", "-n", web, "configmap/config", "-p", json.dumps(before))


def test_a_program_made_for_the_pod_reads_its_files_at_their_real_paths(
    telepresence: Telepresence, web: str
) -> None:
    script = (
        "cat /etc/config/plain /etc/secret/password /app/one.conf /etc/projected/deep/er/plain; "
        "echo x > /etc/config/new; echo kept > /scratch/new && cat /scratch/new; "
        "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; "
        "curl -s http://helloworld.default | head -c 13"
    )
    done = telepresence(*INJECT, "--namespace", web, "-s", "web", "--volumes-at-real-paths",
                        "--run", "sh", "-c", script)  # fmt: skip
    assert done.out.splitlines() == [
        "from the maphunter2from the mapfrom the mapkept", web, "Hello, world!"
    ], done.err  # fmt: skip
    assert "Read-only file system" in done.err
    assert not Path("/etc/config").exists()


def test_proot_shows_a_volume_at_its_path_as_documented(
    telepresence: Telepresence, web: str
) -> None:
    script = (
        "proot -b $TELEPRESENCE_ROOT/var/run/secrets/:/var/run/secrets "
        "-b $TELEPRESENCE_ROOT/etc/config:/etc/config bash"
    )
    typed = (
        "ls /var/run/secrets/kubernetes.io/serviceaccount/\n"
        "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace /etc/config/plain; echo\n"
        "stat -c %s /etc/config/plain; find /etc/config -maxdepth 1 -name plain\n"
    )
    done = telepresence(*INJECT, "--namespace", web, "-s", "web",
                        "--run", "sh", "-c", script, stdin=typed)  # fmt: skip
    said = ["ca.crt", "namespace", "token", f"{web}from the map", "12", "/etc/config/plain"]
    assert done.out.splitlines() == said, done.err


def test_a_pod_of_any_user(telepresence: Telepresence, namespace: str, host: Path) -> None:
    apply(namespace, *volume_objects(namespace, host), deployment(host, user=123_456))
    until_ready(namespace, "deployment/web")
    try:
        with Session(telepresence, namespace) as session:
            assert session.read("/etc/config/plain") == "from the map"
            assert session.write("/host/mine", "x") == 1
            assert session("os.stat(root + '/host/mine').st_uid == os.getuid()") is True
            assert (host / "mine").stat().st_uid == 123_456
    finally:
        kubectl("delete", "persistentvolume", namespace, "--wait=false")


CUT_S = 60


def test_a_carrier_cut_during_a_read_is_an_error_in_time_and_then_forgotten(
    telepresence: Telepresence, web: str, host: Path
) -> None:
    """The node's way to the kubelet is cut, so nothing comes and no carrier can be made anew."""
    (host / "big").write_bytes(os.urandom(1 << 20) * 64)
    with Session(telepresence, web) as session:
        assert session("(big := open(root + '/host/big', 'rb')) and len(big.read(1000))") == 1000
        frozen = subprocess.run(["pgrep", "-x", "kubelet"], stdout=subprocess.PIPE, check=True)
        pids = frozen.stdout.decode().split()
        thaw = threading.Timer(CUT_S, subprocess.run, [["kill", "-CONT", *pids]])
        thaw.start()
        subprocess.run(["kill", "-STOP", *pids], check=True)
        try:
            cut = began = time.monotonic()
            error = session("len(open(root + '/host/big', 'rb').read())")
            assert error in ("ENOTCONN", "EIO")
            assert time.monotonic() - began < 20
            while time.monotonic() - cut < CUT_S - 3:
                began = time.monotonic()
                assert session("os.listdir(root + '/host/..')") in ("ENOTCONN", "EIO")
                assert time.monotonic() - began < 2
                time.sleep(1)
            thaw.join()
        finally:
            thaw.cancel()
            subprocess.run(["kill", "-CONT", *pids], check=True)
        size = "len(open(root + '/host/big', 'rb').read())"
        until(lambda: session(size) == 64 << 20, 60)
