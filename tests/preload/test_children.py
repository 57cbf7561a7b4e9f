"""New programs, copies of descriptors and other libraries: the shim goes along and is in no way."""

from pathlib import Path

import pytest

from fake_pod import CONNECT, FakePod
from shim_rig import ECHO, SHIM, WEB, Rig
from supervisor_rig import Supervisor

GET = "import urllib.request as u; print(u.urlopen('http://web', timeout=9).read().decode())"
START = "import os, subprocess, sys\nchild = [sys.executable, '-c', CHILD]\n"
STARTS = {
    "execve": "os.execve(child[0], child, {})",
    "execv": "os.environ.clear(); os.execv(child[0], child)",
    "execvp": "os.execvpe('python3', child, {'PATH': os.environ['PATH']})",
    "posix_spawn": "os.waitpid(os.posix_spawn(child[0], child, {}), 0)",
    "posix_spawnp": "os.waitpid(os.posix_spawnp('python3', child, {}), 0)",
    "vfork": "subprocess.run(child, env={}, check=True)",
    "fexecve": "os.execve(os.open(child[0], os.O_RDONLY), child, {})",
}


def python(how: str, child: str = GET) -> list[str]:
    return ["/usr/bin/python3", "-c", f"CHILD = {child!r}\n{START}{how}"]


@pytest.mark.parametrize("how", STARTS)
def test_a_program_without_our_environment_gets_it(rig: Rig, pod: FakePod, how: str) -> None:
    assert "pods" in rig.run(python(STARTS[how]), pod.settings()).stdout
    assert (CONNECT, *WEB) in pod.seen


@pytest.mark.parametrize("how", ["execl", "execlp", "execle", "execvpe", "syscall", "execveat"])
def test_every_exec_of_libc_keeps_it(each_rig: Rig, pod: FakePod, how: str) -> None:
    done = each_rig.run(["children", how, "/usr/bin/python3", "-c", GET], pod.settings())
    assert "pods" in done.stdout


def test_threads_forks_and_signals_at_once_do_it_no_harm(each_rig: Rig, pod: FakePod) -> None:
    """A handler that connects, too, comes in the middle of all; the counts are those without."""
    said = each_rig.run(["threads", *map(str, ECHO)], pod.settings())
    assert (said.stdout, said.returncode) == ("connections 192 children 12 signals some\n", 0)
    host, port = pod.network[ECHO]  # type: ignore[misc]
    assert each_rig.run(["threads", host, str(port)], None).stdout == said.stdout


def test_nor_do_they_to_the_supervisor(
    supervisor: Supervisor, plain_build: Path, pod: FakePod
) -> None:
    done = supervisor.run(
        [str(plain_build / "preload" / "threads"), *map(str, ECHO)], pod.settings()
    )
    assert (done.out, done.code) == ("connections 192 children 12 signals some\n", 0)


def test_what_the_program_preloads_stays_behind_ours(rig: Rig, pod: FakePod) -> None:
    look = "import os; print(os.environ['LD_PRELOAD'], os.environ['OWN'])"
    how = "subprocess.run(child, env={'LD_PRELOAD': 'libm.so.6', 'OWN': '1'}, check=True)"
    done = rig.run(python(how, look), pod.settings())
    assert done.stdout == f"{rig.build / SHIM}:libm.so.6 1\n"


def test_what_the_program_sets_for_itself_is_kept(rig: Rig, pod: FakePod) -> None:
    look = "import os; print(os.environ['TORSOCKS_CONF_FILE'])"
    how = "subprocess.run(child, env={'TORSOCKS_CONF_FILE': '/other'}, check=True)"
    assert rig.run(python(how, look), pod.settings()).stdout == "/other\n"


def test_other_preloaded_libraries_coexist(rig: Rig, pod: FakePod) -> None:
    (jemalloc,) = Path("/usr/lib").glob("*/libjemalloc.so.2")
    shim = str(rig.build / SHIM)
    for order in (f"{shim}:{jemalloc}", f"{jemalloc}:{shim}"):
        done = rig.run(["/usr/bin/python3", "-c", GET], pod.settings(), env={"LD_PRELOAD": order})
        assert "pods" in done.stdout


CLOSED = f"""
import os, socket
for fd in range(3): os.close(fd)
s = socket.create_connection(('web', 80), 9)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b'pods', {ECHO})
assert s.fileno() == 0 and u.fileno() == 1, (s.fileno(), u.fileno())
assert u.recv(9) == b'pods'
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
os._exit(42 if b'pods' in s.makefile('rb').read() else 1)
"""


def test_closed_standard_descriptors_do_not_get_in_the_way(rig: Rig, pod: FakePod) -> None:
    """The shim's own sockets are nobody's terminal: a file at 1 would take what is printed."""
    assert rig.run(["/usr/bin/python3", "-c", CLOSED], pod.settings()).returncode == 42


def test_nor_do_they_under_the_supervisor(supervisor: Supervisor, pod: FakePod) -> None:
    assert supervisor.run(["/usr/bin/python3", "-c", CLOSED], pod.settings()).code == 42


def test_system_calls_by_number_are_the_shims_too(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["children", "raw", ECHO[0], "80"], pod.settings())
    assert done.stdout == "connect 0\npeer 198.18.0.2\necho raw\nclosed -1 EBADF\n"


def test_a_stream_that_is_closed_frees_its_socket(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["children", "fclose", ECHO[0], "80"], pod.settings())
    assert done.stdout == "fclose 0\nthe same number: 1\npeer ENOTCONN\n"
