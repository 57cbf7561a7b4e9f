"""0.0.0.0:53 and [::]:53 are the name server of the machine at the far end, whichever that is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wires import DEADLINE_S

NAMESPACES = ["unshare", "--map-root-user", "--mount", "--net"]


def can_unshare() -> bool:
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="this machine gives no user namespace to this user")
@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("search x.svc\nnameserver 127.0.0.5\nnameserver 192.0.2.1\n", "127.0.0.5"),
        ("; comment\n#nameserver 192.0.2.1\nnameserver \t::1 \t# ours", "::1"),
        (
            "nameserver\r\nnameserver2 ::1\nnameserver x\nnameserver 127.0.0.6\r\n",
            "127.0.0.6",
        ),
        ("search only\n", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_first_name_server_is_asked(tmp_path: Path, text: str, host: str) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(text)
    program = Path(__file__).with_name("ask_nameserver.py")
    done = subprocess.run(
        [*NAMESPACES, sys.executable, str(program), str(resolv_conf), host],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["0.0.0.0", 53],
        ["0.0.0.0", 53],
        [host, 53],  # asked by its own address it answers from there
        ["0.0.0.0", 0],
        ["::", 0],
    ]
