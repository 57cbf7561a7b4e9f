"""vpn-tcp when something dies: each of its processes, and the way to the cluster."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import Laptop, lent
from rig import Telepresence, objects
from workloads import until

NODE = "10.99.0.1"
# A laptop has rules of its own; and iptables makes tables that it never removes.
OWN = """
nft add table ip own
nft add chain ip own out '{ type filter hook output priority 5 ; }'
nft add rule ip own out ip daddr 192.0.2.1 counter drop
for program in iptables ip6tables; do
    for table in nat mangle; do
        $program -t $table -N own
        for hook in OUTPUT PREROUTING; do $program -t $table -A $hook -j own; done
    done
done
"""


@pytest.fixture
def laptop(tmp_path: Path, kubeconfig: Path) -> Iterator[Laptop]:
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        pytest.skip("laptops need root or sudo")
    with lent(tmp_path) as made:
        made.run("sh", "-c", OWN)
        before = made.rules()
        yield made
        assert made.rules() == before


def processes(laptop: Laptop) -> dict[str, int]:
    """Of a session that runs there."""
    running = [(pid, words) for pid, words in laptop.processes() if "sandbox" not in words]
    outer, inner = (pid for pid, words in running if "privileged.py" in words)
    command = next(pid for pid, words in running if "bin/telepresence" in words)
    guard = next(pid for pid, words in running if "telepresence.guard" in words)
    reaper = next(pid for pid, words in running if "telepresence-reaper" in words)
    child = next(pid for pid, words in running if words.startswith("sleep"))
    return {"command": command, "guard": guard, "outer": outer, "inner": inner, "reaper": reaper,
            "child": child}  # fmt: skip


@pytest.mark.parametrize(
    ("victims", "method"),
    [(each, "nft") for each in ("command", "outer", "inner", "reaper", "child", "command guard")]
    + [(each, "nat") for each in ("command", "outer", "inner")],
)
def test_whoever_is_killed_nothing_is_left(laptop: Laptop, victims: str, method: str) -> None:
    before = laptop.rules()
    pod = f"t-vpn-{victims.replace(' ', '-')}-{os.getpid()}"
    chosen = {"TELEPRESENCE_FIREWALL": method}
    with laptop.running("-n", pod, "--run", "sleep", "60", env=chosen) as process:
        said = laptop.wait_log("stage: process started")
        assert f"rules of method {method} are in place" in said
        found = processes(laptop)
        assert laptop.rules() != before
        for victim in reversed(victims.split()):
            os.kill(found[victim], signal.SIGKILL)
        until(lambda: laptop.rules() == before, 20)
        code = process.wait(30)
    codes = {"outer": 255, "inner": 255, "child": 137}
    assert code == codes.get(victims, code)
    if "guard" in victims:  # nobody is left who could delete the pod
        assert Telepresence(laptop.directory)("restore").code == 0
    until(lambda: not objects("pods", f"--field-selector=metadata.name={pod}"), 30)
    claims = "cd /run/lock/telepresence-vpn-$(stat -L -c %i /proc/self/ns/net) && ls | grep -v lock"
    until(lambda: not laptop.run("sh", "-c", f"{claims}; true"), 20)


def test_a_killed_guard_disturbs_nobody(laptop: Laptop) -> None:
    before = laptop.rules()
    script = "read x; curl -sS http://helloworld"
    with laptop.running("--run", "sh", "-c", script) as process:
        said = laptop.wait_log("stage: process started")
        os.kill(int(said.split("the guard is process ")[1].split()[0]), signal.SIGKILL)
        assert laptop.rules() != before
        assert process.communicate("go\n", timeout=60)[0].startswith("Hello")
    assert laptop.rules() == before


SURVIVES = """
import socket, struct, sys, threading, time
ended, asked, failed = threading.Event(), [], []
def ask():
    while not ended.wait(0.01):
        asked.append(f"n{len(asked)}.default.svc.cluster.local")
        try:
            socket.getaddrinfo(asked[-1], None, family=socket.AF_INET)
        except socket.gaierror as error:
            if error.errno != socket.EAI_NONAME:
                failed.append(str(error))
sock = socket.create_connection(("bench", 7019))
waiting = socket.create_connection(("bench", 7007))
left, told = 300_000_000, False
thread = threading.Thread(target=ask)
thread.start()
sock.sendall(struct.pack("!Q", left))
while left:
    data = sock.recv(min(left, 1 << 16))
    assert data, "end of file"
    left -= len(data)
    if not told and left < 280_000_000:
        told = True
        print("on the way", flush=True)
        sys.stdin.readline()
waiting.sendall(b"x")
print(waiting.recv(1), socket.create_connection(("bench", 7007)).getpeername()[1])
ended.set()
thread.join()
print(len(asked) > 20, failed, socket.gethostbyname("redis-master") != "", flush=True)
"""


@pytest.mark.parametrize("away_s", [0, 3])
def test_connections_and_names_outlive_the_loss_of_the_carrier(
    laptop: Laptop, away_s: float
) -> None:
    """Every connection to the API server is cut, and the way there is gone for a while."""
    route = laptop.run("ip", "route", "show", NODE).strip()
    with laptop.running("--run", "python3", "-c", SURVIVES) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on the way\n"
        if away_s:
            laptop.run("ip", "route", "replace", "unreachable", NODE)
        assert NODE in laptop.run("ss", "-HKt", "dst", NODE)
        time.sleep(away_s)
        if away_s:
            laptop.run("ip", "route", "del", "unreachable", NODE)
            laptop.run("ip", "route", "replace", *route.split())
        out = process.communicate("go\n", timeout=60)[0]
        assert out.splitlines() == ["b'x' 7007", "True [] True"], laptop.log.read_text()
    assert "carrier lost" in laptop.log.read_text()
