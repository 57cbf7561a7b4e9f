"""Programs that no library can be preloaded into reach the pod all the same."""

import os
import platform
import pty
import pwd
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_pod import CONNECT, FakePod
from shim_rig import ECHO, ECHO6, FORBIDDEN, FREE, HELD, REFUSED, SMTP, UNREACHABLE, WEB, MakePod
from supervisor_rig import PROGRAMS, Done, Supervisor
from test_talk import NEAR_END, TEMPERS, WAYS


@pytest.fixture
def talk(supervisor: Supervisor, closed: Path) -> Callable[..., Done]:
    def run(how: str, host: str, settings: str) -> Done:
        return supervisor.run([str(closed / "talk"), how, host, "80"], settings)

    return run


# "asking" does not wait before it asks, so what it hears depends on how soon the pod has answered.
ASKED = [how for how in WAYS if how != "asking"]


def test_this_machine_can_do_it(supervisor: Supervisor) -> None:
    done = subprocess.run([supervisor.path, "--check"], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


FETCH = {
    "go": ["fetch-go", f"http://{WEB[0]}/"],
    "musl": ["fetch-musl", WEB[0], "80"],
    "static-glibc": ["fetch-glibc", WEB[0], "80"],
    "busybox": ["/bin/busybox", "wget", "-q", "-O", "-", f"http://{WEB[0]}/"],
    "curl": ["/usr/bin/curl", "-sS", "--max-time", "9", f"http://{WEB[0]}/"],
    "shell-and-go": ["/bin/sh", "-c", "cd {closed} && timeout 9 ./fetch-go http://198.18.0.1/"],
    "xargs": ["/bin/sh", "-c", "echo 198.18.0.1 80 | xargs -P 4 {closed}/fetch-musl"],
}


CLOSED = {
    "go": "Go, static",
    "musl": "C with musl, static",
    "static-glibc": "C with glibc, static",
    "busybox": "busybox wget, static",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.cells(CLOSED.get(name, name), "supervisor", "connect"))
        if name in CLOSED
        else name
        for name in FETCH
    ],
)
def test_a_closed_program_reaches_the_pods_network(
    supervisor: Supervisor, closed: Path, pod: FakePod, name: str
) -> None:
    program, *words = (word.replace("{closed}", str(closed)) for word in FETCH[name])
    done = supervisor.run([str(closed / program), *words], pod.settings())
    assert done.out.endswith("pods\n"), done
    assert done.code == 0
    assert (CONNECT, *WEB) in pod.seen


@pytest.mark.parametrize("how", ASKED)
@pytest.mark.parametrize("temper", TEMPERS)
def test_every_way_of_connecting_reaches_the_target(
    talk: Callable[..., Done], make_pod: MakePod, how: str, temper: str
) -> None:
    options = {"username": "u", "password": "p"} | TEMPERS[temper]
    done = talk(how, ECHO[0], make_pod(**options).settings())
    said = "connect: ok\npeer 198.18.0.2 80 length 16\n"
    said += "second connect: EISCONN\n" if how == "blocking" else ""
    said += "echo 012345678901234567890123456789\n"
    assert (done.out, done.code) == (WAYS[how] + said, 0)


@pytest.mark.parametrize("how", ASKED)
@pytest.mark.parametrize(
    ("target", "error"),
    [(REFUSED, "ECONNREFUSED"), (UNREACHABLE, "ENETUNREACH"), (FORBIDDEN, "EACCES")],
)
def test_a_failure_has_the_errno_of_the_target(
    talk: Callable[..., Done], pod: FakePod, how: str, target: tuple[str, int], error: str
) -> None:
    """A connect that need not be waited for may fail at once, as those to loopback do."""
    done = talk(how, target[0], pod.settings())
    said = f"connect: {error}\npeer: ENOTCONN\n"
    assert done.out in (said, WAYS[how] + said)


@pytest.mark.parametrize("how", ["blocking", "poll"])
def test_ipv6_and_names_of_peers(talk: Callable[..., Done], pod: FakePod, how: str) -> None:
    said = talk(how, ECHO6[0], pod.settings()).out
    assert "peer 2001:db8::7 80 length 28\n" in said
    assert "echo 0123456789" in said
    copies = talk("copies", ECHO[0], pod.settings()).out
    assert copies.count("peer 198.18.0.2 80 length 16\n") == 5
    assert talk("child", ECHO[0], pod.settings()).out.count("peer 198.18.0.2 80 length 16\n") == 3


def test_what_the_target_says_first_is_kept(talk: Callable[..., Done], pod: FakePod) -> None:
    assert "echo 220 hello\n0123456789" in talk("blocking", SMTP[0], pod.settings()).out


def test_the_sockets_own_address_is_the_pods(supervisor: Supervisor, make_pod: MakePod) -> None:
    argv = ["/usr/bin/python3", "-c", NEAR_END, ECHO[0], "0"]
    done = supervisor.run(argv, make_pod(bound="10.0.0.1").settings())
    assert done.out == "('10.0.0.1', 4321) ('10.0.0.1', 4321)\n127.0.0.1\n"
    slow = make_pod(bound="10.0.0.1", held={HELD}, release_on=ECHO)
    argv[-2:] = [HELD[0], "9"]
    release = threading.Timer(1.5, slow.release)  # by then it is on the way of detour.c
    release.start()
    done = supervisor.run(argv, slow.settings())
    release.join()
    assert done.out.startswith("('10.0.0.1', 4321) ")


def test_a_connect_that_takes_long_keeps_no_other_waiting(
    supervisor: Supervisor, closed: Path, make_pod: MakePod
) -> None:
    """The held one is let go by the last: in one after the other, it would never end."""
    pod = make_pod(held={HELD}, release_on=FREE)
    pod.network |= {HELD: 5, FREE: 5}
    words = [f"http://{host}/" for host, _ in (HELD, FREE)]
    done = supervisor.run([str(closed / "fetch-go"), *words], pod.settings())
    assert done.out.count("connection refused") == 2, done


def test_a_signal_interrupts_a_connect(supervisor: Supervisor, make_pod: MakePod) -> None:
    pod = make_pod(held={HELD})
    script = f"exec 3<>/dev/tcp/{HELD[0]}/80"
    done = supervisor.run(["/usr/bin/timeout", "0.3", "/bin/bash", "-c", script], pod.settings())
    assert done.code == 124


def test_loopback_and_unix_sockets_are_left_alone(
    supervisor: Supervisor, closed: Path, pod: FakePod, tmp_path: Path
) -> None:
    host, port = pod.network[WEB]  # type: ignore[misc]
    done = supervisor.run([str(closed / "fetch-musl"), host, str(port)], pod.settings())
    assert done.out.endswith("pods\n")
    program = (
        "import socket, sys\n"
        "door = socket.socket(socket.AF_UNIX); door.bind(sys.argv[1]); door.listen()\n"
        "near = socket.socket(socket.AF_UNIX); near.connect(sys.argv[1])\n"
        "far, _ = door.accept(); socket.send_fds(near, [b'x'], [1])\n"
        "print(near.getpeername() == sys.argv[1], len(socket.recv_fds(far, 9, 9)[1]))"
    )
    words = ["/usr/bin/python3", "-c", program, str(tmp_path / "door")]
    assert supervisor.run(words, pod.settings()).out == "True 1\n"
    assert pod.seen == []


def test_the_exit_is_the_programs(supervisor: Supervisor, pod: FakePod) -> None:
    for script, code in (("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)):
        assert supervisor.run(["/bin/sh", "-c", script], pod.settings()).code == code
    echoed = supervisor.run(["/bin/cat"], pod.settings(), stdin="through\n")
    assert (echoed.out, echoed.code) == ("through\n", 0)
    missing = supervisor.run(["/no/such/program"], pod.settings())
    assert missing.code == 255
    assert "cannot start /no/such/program: No such file or directory" in missing.out


def test_the_program_ends_with_its_supervisor(supervisor: Supervisor, pod: FakePod) -> None:
    supervisor.conf.write_text(pod.settings())
    words = [str(supervisor.path), str(supervisor.conf), "2", "/bin/sh", "sh"]
    with subprocess.Popen(
        [*words, "-c", "echo $$; exec sleep 60"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        child = os.pidfd_open(pid)
        process.kill()
        assert process.stdout.read() == ""  # the sleep held the other end
        os.close(child)


def test_a_signal_to_the_supervisor_is_the_programs(supervisor: Supervisor, pod: FakePod) -> None:
    supervisor.conf.write_text(pod.settings())
    words = [str(supervisor.path), str(supervisor.conf), "2", "/bin/sh", "sh"]
    script = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([*words, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.read() == "told\n"
        assert process.wait() == 3


def test_an_io_uring_is_not_to_be_had(supervisor: Supervisor, pod: FakePod) -> None:
    program = (
        "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
        "print(c.syscall(425, 8, 0), ctypes.get_errno())"
    )
    assert supervisor.run(["/usr/bin/python3", "-c", program], pod.settings()).out == "-1 38\n"


def test_an_ordinary_user_needs_no_privilege(
    closed: Path, plain_supervisor: Path, pod: FakePod, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    for path in (plain_supervisor, closed / "fetch-go", closed / "talk"):
        shutil.copy(path, tmp_path)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    supervisor = Supervisor(tmp_path / plain_supervisor.name, tmp_path / "preload.conf")
    asked = [str(tmp_path / "fetch-go"), f"http://{WEB[0]}/", f"http://{REFUSED[0]}/"]
    done = supervisor.run(asked, pod.settings(), **user)
    assert done.out.startswith("pods\n"), done
    assert "connection refused" in done.out
    pod.held = {HELD}  # its answer comes when the program waits for it: the way of detour.c
    answer = threading.Timer(0.5, pod.release)
    answer.start()
    done = supervisor.run([str(tmp_path / "talk"), "poll", HELD[0], "80"], pod.settings(), **user)
    answer.join()
    assert "connect: ok\n" in done.out, done


def test_a_setuid_program_runs_without_its_rights_and_is_told_of_once(
    plain_supervisor: Path, pod: FakePod, tmp_path: Path
) -> None:
    """su(1) asks for a password, and cannot look it up as nobody."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user cannot make setuid programs")
    own, capable = tmp_path / "own-id", tmp_path / "capable-id"
    shutil.copy("/usr/bin/id", own)
    own.chmod(0o4755)
    shutil.copy("/usr/bin/id", capable)
    subprocess.run(["setcap", "cap_net_raw+ep", capable], check=True)
    shutil.copy(plain_supervisor, tmp_path)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    supervisor = Supervisor(tmp_path / plain_supervisor.name, tmp_path / "preload.conf")
    script = f"{own} -u; cd {tmp_path}; ./own-id -u; ./capable-id -u; su -c id; exit 0"
    done = supervisor.run(
        ["/bin/sh", "-c", script], pod.settings(),
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
    )  # fmt: skip
    assert done.out.startswith(f"{nobody.pw_uid}\n" * 3)
    assert "uid=0" not in done.out
    lines = done.log.splitlines()
    assert len(lines) == 3, lines
    assert lines[0] == f"{own} (setuid) runs without the rights that would give it"
    assert "capable-id (capabilities of its own) runs without the rights" in lines[1]
    assert "/su (setuid) runs without" in lines[2]


def test_a_32_bit_program_is_told_of_once_and_goes_nowhere(
    supervisor: Supervisor, pod: FakePod, tmp_path: Path
) -> None:
    """The library cannot enter it, and its calls have other numbers: none leaves the machine."""
    if platform.machine() != "x86_64":
        pytest.skip("the program is made of i386 instructions")
    program = tmp_path / "narrow"
    source = PROGRAMS / "narrow.S"
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-o", program, source], check=True)
    script = f"{program}; echo $?; {program}; exit 0"
    done = supervisor.run(["/bin/sh", "-c", script], pod.settings())
    if "xec format" in done.out:
        pytest.skip("this kernel runs no 32-bit programs")
    assert done.out.startswith("38\n")  # ENOSYS
    assert done.log == f"{program} is a 32-bit program: its connections fail with ENOSYS\n"
    assert pod.seen == []


def test_su_of_root_changes_the_user_and_still_reaches_the_pod(
    supervisor: Supervisor, closed: Path, pod: FakePod, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user without a password")
    shutil.copy(closed / "fetch-go", tmp_path)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    script = f"id -un; {tmp_path}/fetch-go http://{WEB[0]}/"
    words = ["/bin/su", "-s", "/bin/sh", "nobody", "-c", script]
    done = supervisor.run(words, pod.settings())
    assert done.out == "nobody\npods\n", done


def open_to_all(tmp_path: Path, *programs: Path) -> None:
    """Copies that other users can run."""
    for program in programs:
        shutil.copy(program, tmp_path)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)


def test_what_keeps_it_from_working_is_said_beforehand(
    supervisor: Supervisor, plain_supervisor: Path, pod: FakePod, tmp_path: Path
) -> None:
    nested = supervisor.run([str(plain_supervisor), "--check"], pod.settings())
    assert (nested.code, nested.out) == (
        1, "this process has a supervisor already, and there can be one only\n"
    )  # fmt: skip
    if os.geteuid() != 0:
        pytest.skip("only root can make a program that its user may run but not read")
    open_to_all(tmp_path, plain_supervisor)
    unreadable = tmp_path / plain_supervisor.name
    unreadable.chmod(0o711)  # so nobody may look into it: as Yama's ptrace_scope 3 has it for all
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run([unreadable, "--check"], user=nobody.pw_uid, group=nobody.pw_gid,
                          extra_groups=[], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "lets no program look into another" in done.stdout


def test_a_program_that_keeps_its_user_out_goes_nowhere(
    plain_supervisor: Path, pod: FakePod, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("root may look into everything: this needs a change to another user")
    open_to_all(tmp_path, plain_supervisor)
    nobody = pwd.getpwnam("nobody")
    program = f"""
import ctypes, socket
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
for _ in range(2):
    print(socket.socket().connect_ex(("{WEB[0]}", 80)))
"""
    done = Supervisor(tmp_path / plain_supervisor.name, tmp_path / "preload.conf").run(
        ["/usr/bin/python3", "-c", program], pod.settings(),
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
    )  # fmt: skip
    assert done.out == "13\n13\n"
    assert done.log.count("may not be looked into: its connections fail with EACCES\n") == 1
    assert pod.seen == []


def test_a_terminals_job_control_is_the_shells(plain_supervisor: Path, tmp_path: Path) -> None:
    """Ctrl-Z, fg and Ctrl-C reach the shell's job alone; the supervisor stays out of it."""
    (tmp_path / "conf").write_text("TorPort 9\n")
    words = [
        str(plain_supervisor),
        str(tmp_path / "conf"),
        "2",
        "/bin/bash",
        "bash",
        "--norc",
        "-i",
    ]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], words, {"PS1": "ready> ", "TERM": "dumb", "PATH": "/usr/bin:/bin"})

    def see(text: bytes) -> None:
        seen, deadline = b"", time.monotonic() + 10
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096)

    # One process, so that the terminal's signals find it at the same place each time.
    job = "import os, signal, time; signal.signal(18, lambda *_: os.write(1, b'resu' b'med'))"
    job = f"python3 -c \"{job}; os.write(1, b'star' b'ted'); time.sleep(60)\"\n"
    try:
        see(b"ready> ")
        for keys, shown in (
            (job.encode(), b"started"), (b"\x1a", b"Stopped"), (b"fg\n", b"resumed"),
            (b"\x03", b"ready> "), (b"echo code=$?\n", b"code=130"),
        ):  # fmt: skip
            os.write(terminal, keys)
            see(shown)
        os.write(terminal, b"exit 5\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    os.close(terminal)
