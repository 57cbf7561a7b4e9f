"""Programs as people have them, none of which was told of any proxy."""

import shutil
import sys

import pytest

from fake_pod import CONNECT, FakePod
from shim_rig import REDIS, WEB, Rig

PYTHON = "import urllib.request as u; print(u.urlopen('http://web', timeout=9).read().decode())"
AIO = """
import asyncio
async def main():
    r, w = await asyncio.open_connection('web', 80)
    w.write(b'GET / HTTP/1.0\\r\\n\\r\\n')
    print((await r.read()).decode(), w.get_extra_info('peername'))
    w.close()
"""
NODE = "require('http').get('http://web/', r => r.on('data', d => console.log(String(d))))"
PERL = """use IO::Socket::INET;
$s = IO::Socket::INET->new(PeerAddr => "web:80", Timeout => 9) or die $!;
print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>"""
BASH = "exec 3<>/dev/tcp/web/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"

PROGRAMS = {
    "curl": ["curl", "-sS", "--max-time", "9", "http://web"],
    "curl-http-by-address": ["curl", "-sS", "--max-time", "9", f"http://{WEB[0]}/"],
    "curl-fast-open": ["curl", "-sS", "--tcp-fastopen", "--max-time", "9", "http://web"],
    "wget": ["wget", "-q", "-O", "-", "-T", "9", "-t", "1", "http://web"],
    "bash": ["bash", "-c", BASH],
    "ncat": ["bash", "-c", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ncat web 80"],
    "nc": ["bash", "-c", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc web 80"],
    "node": ["node", "-e", NODE],
    "perl": ["perl", "-e", PERL],
    "python": ["python3", "-c", PYTHON],
    "asyncio": ["python3", "-c", AIO + "asyncio.run(main())"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_reaches_the_pods_network(rig: Rig, pod: FakePod, name: str) -> None:
    argv = PROGRAMS[name]
    tool = name.split("-")[0] if argv[0] == "bash" else argv[0]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = rig.run(argv, pod.settings())
    assert "pods" in done.stdout, done.stdout
    assert (CONNECT, *WEB) in pod.seen


def test_uvloop_reaches_the_pods_network(rig: Rig, pod: FakePod) -> None:
    script = AIO + "import uvloop; uvloop.run(main())"
    done = rig.run([sys.executable, "-c", script], pod.settings())
    assert "pods" in done.stdout, done.stdout
    assert f"('{WEB[0]}', 80)" in done.stdout


def test_redis_cli_reaches_the_pods_network(rig: Rig, pod: FakePod) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    done = rig.run(["redis-cli", "-h", "redis", "-p", "80", "ping"], pod.settings())
    assert done.stdout == "PONG\n"
    assert (CONNECT, *REDIS) in pod.seen


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["curl", "-sS", "http://198.18.1.1"], "Couldn't connect to server"),
        (["curl", "-sS", "http://no-such-name"], "Could not resolve host: no-such-name"),
        (["bash", "-c", "exec 3<>/dev/tcp/198.18.1.1/80"], "Connection refused"),
        (["bash", "-c", "exec 3<>/dev/tcp/198.18.1.2/80"], "Network is unreachable"),
        (["python3", "-c", PYTHON.replace("web", "198.18.1.1")], "Connection refused"),
        (["python3", "-c", AIO.replace("'web'", "'198.18.1.2'") + "asyncio.run(main())"], "101"),
    ],
)
def test_programs_report_the_pods_failure(
    rig: Rig, pod: FakePod, argv: list[str], said: str
) -> None:
    done = rig.run(argv, pod.settings())
    assert said in done.stdout
    assert done.returncode != 0


def test_children_of_a_program_are_in_the_pod_too(rig: Rig, pod: FakePod) -> None:
    script = "import subprocess; subprocess.run(['curl', '-sS', 'http://web'])"
    assert rig.run(["python3", "-c", script], pod.settings()).stdout == "pods\n"
