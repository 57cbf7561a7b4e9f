"""A folder with what macOS's firewall is on Linux: tests/sockets/pf, as programs, and their record.

Called by: tests/sockets/test_pf.py, tests/cluster/test_vpn_pf.py.
Owns: nothing; whoever made the folder removes it.
Never: runs any of it.
"""

import json
import sys
from pathlib import Path

PF = Path(__file__).parent / "sockets" / "pf"
FORGETTING = ["dscacheutil -flushcache", "killall -HUP mDNSResponder"]
TOKEN = "4235676552202453487"  # what `pfctl -E` of pf/pfctl.py says
_RECORDER = """
import json, sys
from pathlib import Path
with (Path(sys.argv[0]).parent / "record").open("a") as record:
    record.write(json.dumps([[Path(sys.argv[0]).name, *sys.argv[1:]], []]) + chr(10))
"""


def lay_out(folder: Path) -> Path:
    """Programs, and how pf is set up; as_macos.py is for firewall.HELPER."""
    folder.mkdir()
    for name in ("pfctl", "dscacheutil", "killall"):
        text = (PF / "pfctl.py").read_text() if name == "pfctl" else _RECORDER
        (folder / name).write_text(f"#!{sys.executable}\n{text}")
        (folder / name).chmod(0o755)
    (folder / "as_macos.py").write_text((PF / "as_macos.py").read_text())
    (folder / "interfaces").write_text("lo0\n")
    (folder / "rules").write_text('scrub-anchor "com.apple/*" all\nanchor "com.apple/*" all\n')
    (folder / "nat").write_text('nat-anchor "com.apple/*" all\nrdr-anchor "com.apple/*" all\n')
    (folder / "nft").touch()
    return folder


def record(folder: Path) -> list[str]:
    """What has been run, in its order."""
    lines = (folder / "record").read_text().splitlines()
    return [" ".join(json.loads(line)[0]) for line in lines]
