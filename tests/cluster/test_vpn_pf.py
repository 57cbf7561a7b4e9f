"""vpn-tcp's side for macOS, on a laptop of the sandbox: whatever of it can run on Linux does, with
pf as pf_folder.py has it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pf_folder import FORGETTING, TOKEN, lay_out, record

from laptop import Laptop, lent

# The whole command, which takes pf and its process with privileges for macOS's.
COMMAND = """
import platform, sys
from pathlib import Path
platform.system = lambda: "Darwin"
from telepresence.method.vpn import firewall
firewall.HELPER = Path({place!r}, "as_macos.py")
from telepresence.__main__ import main
sys.argv[0] = "bin/telepresence"
sys.exit(main())
"""


class Mac(Laptop):
    """One whose pf is in `place`."""

    place: Path

    def argv(self, *words: str) -> list[str]:
        program = COMMAND.format(place=str(self.place))
        return self.on(sys.executable, "-c", program, "--method", "vpn-tcp", *words)


@pytest.fixture
def mac(tmp_path: Path, kubeconfig: Path) -> Iterator[Mac]:
    if os.geteuid() != 0:
        pytest.skip("laptops need root")
    with lent(tmp_path, "-mac") as made:
        laptop = Mac(made.name, tmp_path)
        laptop.place = lay_out(tmp_path / "pf")
        # Ports that the kernel gives away are macOS's: net.inet.ip.portrange.
        made.run("sh", "-c", "echo 49152 65535 > /proc/sys/net/ipv4/ip_local_port_range")
        before = made.rules()
        yield laptop
        assert made.rules() == before


def test_names_and_connections_and_nothing_is_left(mac: Mac) -> None:
    forms = ["helloworld", "helloworld.default", "helloworld.default.svc",
             "helloworld.default.svc.cluster.local", "web-0.web"]  # fmt: skip
    script = "; ".join(f"curl -sS -m 10 http://{form} | cut -c1-5" for form in forms)
    script += (
        "; dig +short redis-master.default.svc.cluster.local | grep -c ^10"
        "; dig +tcp +short redis-master | tail -1 | grep -c ^10"
        "; getent hosts intranet.corp.example; dig +tcp +short intranet.corp.example"
        "; curl -sS -m 10 http://helloworld:1"
    )
    done = mac("--verbose", "--run", "sh", "-c", script)
    assert done.out.split() == [
        *["Hello"] * len(forms), "1", "1", "198.18.0.80", "intranet.corp.example", "198.18.0.80",
    ], done.err  # fmt: skip
    assert "lacks what it takes for UDP, and for connects that fail" in done.err
    assert "curl: (56)" in done.err  # made first, then reset
    said = record(mac.place)
    assert said[:3] == ["-s Interfaces -i lo -v", "-s rules", "-s nat"]
    assert said[-3].endswith(("-F all", TOKEN)) and said[-2:] == FORGETTING
    assert said.count("-E") == said.count(f"-X {TOKEN}") == 1


def test_two_sessions_at_once(mac: Mac) -> None:
    """The newer one is asked first, and hands on to the older one what it does not know."""
    apart = ["--never-proxy", "10.0.0.0/8", "--also-proxy", "203.0.113.7"]
    with mac.running("-n", "t-pf-first", "--run", "sleep", "60"):
        mac.wait_log("started")
        script = "curl -sS -m 10 http://helloworld.default | cut -c1-5; getent hosts intranet"
        done = mac(*apart, "--logfile", "second.log", "--run", "sh", "-c", script)
        assert done.out.split()[:2] == ["Hello", "198.18.0.80"], done.err
        assert mac.run("curl", "-sS", "-m", "10", "http://helloworld").startswith("Hello")


@pytest.mark.parametrize("victim", ["command", "outer", "inner"])
def test_whoever_is_killed_the_rules_go(mac: Mac, victim: str) -> None:
    before = mac.rules()
    with mac.running("-n", f"t-pf-{victim}", "--run", "sleep", "60") as process:
        mac.wait_log("started")
        running = [(pid, words) for pid, words in mac.processes() if "sandbox" not in words]
        helpers = [pid for pid, words in running if "as_macos.py pf" in words]
        commands = [pid for pid, words in running if "platform.system" in words]
        assert mac.rules() != before
        pid = {"command": commands[0], "outer": helpers[0], "inner": helpers[1]}[victim]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while mac.rules() != before or record(mac.place)[-1] != FORGETTING[-1]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.wait(30)
    assert record(mac.place).count(f"-X {TOKEN}") == 1
