"""In the place of pfctl(8): keeps a record, and has nft do what the rules of an anchor say.

Called by: sshuttle, as `pfctl`, in test_pf.py and test_pfrules.py.
Owns: a table of nft for each anchor, where nft is asked for (a file `nft` beside the record).
Never: takes what the real one would refuse: words that pf.conf(5) has not, rules out of order.

It stands in a folder of its own, with the record, and files that say how pf is set up.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(sys.argv[0]).parent
TOKEN = "4235676552202453487"
# pf.conf(5), as far as it is used.
FROM = r"from (?:! (?P<not>\S+)|any port (?P<low>\d+) <> (?P<high>\d+)|any)"
WHAT = (
    rf"(?P<ip>inet6?) proto (?P<protocol>tcp|udp) (?:{FROM} )?to (?P<to>\S+)(?: port (?P<at>\d+))?"
)
RDR = re.compile(rf"rdr pass on lo0 {WHAT} -> (?P<host>\S+) port (?P<port>\d+)")
PASS = re.compile(rf"pass out quick (?P<route>route-to lo0 )?{WHAT}(?: keep state)?")


def table(anchor: str) -> str:
    return re.sub(r"\W", "_", anchor)


def translate(found: re.Match[str]) -> str:
    """A rule of nft for one that redirects."""
    protocol = found["protocol"]
    words = [{"inet": "ip", "inet6": "ip6"}[found["ip"]], "daddr", found["to"]]
    words += [protocol, "dport", found["at"] or "1-65535"]
    if found["low"]:
        words += [protocol, "sport", "!=", f"{found['low']}-{found['high']}"]
    return " ".join((*words, "redirect", "to", f":{found['port']}"))


def load(anchor: str, text: str) -> None:
    redirected, rules = [], []
    is_filtering = False
    for line in text.splitlines():
        if found := RDR.fullmatch(line):
            assert not is_filtering, "Rules must be in order: translation, filtering"
            redirected.append(found)
            rules.append(translate(found))
        else:
            assert PASS.fullmatch(line), f"syntax error: {line}"
            is_filtering = True
    # What is turned on lo0 has to be brought there.
    for found in redirected:
        if not found["to"].startswith(("127.", "::1")):
            brought = f"to {found['to']}" + (f" port {found['at']}" if found["at"] else "")
            assert f"{found['ip']} proto {found['protocol']}" in text and brought in text
    if (HERE / "nft").exists():
        # By name, as `anchor "com.apple/*"` is evaluated.
        age = re.search(r"telepresence-(\d+)-", anchor)
        name, rank = table(anchor), int(age[1]) // 2048 if age else 0
        chain = f"type nat hook output priority {rank - 100};\n" + "\n".join(rules)
        new = f"add table inet {name}\ndelete table inet {name}\n"
        new += f"table inet {name} {{\nchain out {{\n{chain}\n}}\n}}"
        subprocess.run(["nft", "-f", "-"], input=new, text=True, check=True)


def main() -> None:
    words = sys.argv[1:]
    text = sys.stdin.read() if "-f" in words else ""
    with (HERE / "record").open("a") as record:
        record.write(json.dumps([words, text.splitlines()]) + "\n")
    match words:
        case ["-s", "Interfaces", *_]:
            sys.stdout.write((HERE / "interfaces").read_text())
        case ["-s", ("rules" | "nat") as kind]:
            sys.stdout.write((HERE / kind).read_text())
        case ["-a", anchor, "-f", "/dev/stdin"]:
            load(anchor, text)
        case ["-a", anchor, "-F", "all"]:
            if (HERE / "nft").exists():
                subprocess.run(["nft", "delete", "table", "inet", table(anchor)], check=True)
        case ["-E"]:
            sys.stderr.write(f"pf enabled\nToken : {TOKEN}\n")
        case ["-X", given]:
            assert given == TOKEN
        case _:
            sys.exit(f"not a word of pfctl(8): {words}")


if __name__ == "__main__":
    main()
