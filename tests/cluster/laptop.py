"""A laptop of the sandbox: a network namespace with its own routes, resolver and firewall.

Called by: tests and fixtures of this folder.
Owns: the laptop, until its context ends.
Never: changes the machine's own network.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rig import Telepresence

TOP = Path(__file__).resolve().parent.parent.parent
SANDBOX = TOP / "sandbox" / "sandbox"


class Laptop(Telepresence):
    """The command, on a laptop."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(directory)
        self.name = name

    def on(self, *words: str) -> list[str]:
        """The words of a command that runs there."""
        return [str(SANDBOX), "laptop", self.name, "--", *words]

    def argv(self, *words: str) -> list[str]:
        return self.on(*super().argv("--method", "vpn-tcp", *words))

    def run(self, *words: str) -> str:
        return subprocess.run(
            self.on(*words), check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def processes(self) -> list[tuple[int, str]]:
        """What runs there: process ids, oldest first, and command lines."""
        listed = self.run("sh", "-c", "ip netns pids $(ip netns identify $$)")
        found = []
        for pid in sorted(map(int, listed.split())):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                found.append((pid, words.decode(errors="replace")))
        return found

    def rules(self) -> str:
        """Every rule of its firewall and routes, byte by byte but for dates and counters, and for
        link-local addresses, which the kernel completes some seconds after an interface."""
        script = (
            "{ nft list ruleset; iptables-save; ip6tables-save; iptables-legacy-save; "
            "ip6tables-legacy-save; "
            "for v in 4 6; do ip -$v rule; ip -$v route show table all; done; }"
        )
        listed = self.run("sh", "-c", f"PATH=$PATH:/usr/sbin; {script} 2>/dev/null")
        kept = (line for line in listed.splitlines(True) if line[0] != "#" and "fe80::" not in line)
        counted = r"\[\d+:\d+\]$|packets \d+ bytes \d+"
        return "".join(re.sub(counted, "", line) for line in kept)


@contextlib.contextmanager
def lent(directory: Path, suffix: str = "") -> Iterator[Laptop]:
    laptop = Laptop(f"test-{os.getpid()}{suffix}", directory)
    try:
        laptop.run("true")
        yield laptop
    finally:
        subprocess.run([str(SANDBOX), "laptop", laptop.name, "--delete"], check=False)
