"""Add the sandbox's iptables rules; remove them and those of kube-proxy, kubelet and CNI plugins.

Called by: node, teardown.  Owns: rules tagged with the sandbox's name; chains KUBE-* and CNI-*.
Never: touches a rule of anybody else."""

from __future__ import annotations

import json
import re
import shutil

import places
from machine import attempt, run

FAMILIES = (("iptables", "ip"), ("ip6tables", "ip6"))
OUR_CHAIN = re.compile(r"^(KUBE|CNI)-")
OUR_RULE = re.compile(rf'--comment "?{places.FIREWALL_TAG}\b')
DOCKER_CHAIN = re.compile(r"^DOCKER\b")
NO_CHAIN = re.compile(r"(?!)")
DOCKER_RULE = re.compile(rf" -[io] {places.DOCKER_BRIDGE}\b")
RULES = (  # each is put before the one above it
    ("ACCEPT", "FORWARD", "-i", places.POD_BRIDGE),
    ("ACCEPT", "FORWARD", "-o", places.POD_BRIDGE),
    ("REJECT", "FORWARD", "-d", places.SERVICE_RANGE),
    ("REJECT", "OUTPUT", "-d", places.SERVICE_RANGE),
)


def allow_pods() -> None:
    """Let pods through a machine whose FORWARD policy is DROP, as Docker leaves it.  A Service that
    kube-proxy does not know yet, or any more, is refused: nothing leaves for a network beyond."""
    for target, chain, *match in RULES:
        rule = [chain, *match, "-m", "comment", "--comment", places.FIREWALL_TAG, "-j", target]
        if not attempt("iptables", "-w", "5", "-C", *rule):
            run("iptables", "-w", "5", "-I", *rule)


def remember_tables() -> None:
    """Note which tables exist, so that `down` can remove those that came with the cluster."""
    if not places.TABLES_BEFORE.exists():
        tables = {family: _tables(tool) for tool, family in FAMILIES}
        places.TABLES_BEFORE.write_text(json.dumps(tables))


def _tables(tool: str) -> list[str]:
    return re.findall(r"^\*(\S+)$", _save(tool), re.MULTILINE)


def _save(tool: str) -> str:
    return run(f"{tool}-save") if shutil.which(f"{tool}-save") else ""


def remove() -> None:
    for tool, family in FAMILIES:
        undo = make_undo(_save(tool))
        if undo:
            run(f"{tool}-restore", "--noflush", "-w", "5", stdin=undo)
        _remove_new_tables(tool, family)
    places.TABLES_BEFORE.unlink(missing_ok=True)


def remove_dockers(*, alone: bool) -> None:
    """What dockerd added for its bridge; its chains too, unless another engine uses them."""
    for tool, _ in FAMILIES:
        undo = make_undo(_save(tool), DOCKER_CHAIN if alone else NO_CHAIN, DOCKER_RULE)
        if undo:
            run(f"{tool}-restore", "--noflush", "-w", "5", stdin=undo)


def make_undo(
    saved: str, chain: re.Pattern[str] = OUR_CHAIN, rule: re.Pattern[str] = OUR_RULE
) -> str:
    """From iptables-save's text, input for `iptables-restore --noflush` that removes the chains
    with the rules that lead there, and the rules that match."""

    def leads(line: str) -> bool:
        jump = re.search(r" -[jg] (\S+)", line)
        return bool(rule.search(line) or (jump and chain.match(jump[1])))

    undo: list[str] = []
    table: list[str] = []
    chains: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains = [line], []
        elif line.startswith(":") and chain.match(line[1:]):
            chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and not chain.match(line[3:]) and leads(line):
            table.append("-D" + line[2:])
        elif line == "COMMIT":
            table += [f"-F {name}" for name in chains] + [f"-X {name}" for name in chains]
            if len(table) > 1:
                undo += [*table, "COMMIT"]
    return "\n".join(undo) + "\n" if undo else ""


def _remove_new_tables(tool: str, family: str) -> None:
    """iptables on nftables leaves tables behind; one that is new and has no rule goes."""
    try:
        before = json.loads(places.TABLES_BEFORE.read_text())[family]
    except (FileNotFoundError, ValueError, KeyError):
        return
    if not shutil.which("nft") or "nf_tables" not in run(tool, "--version"):
        return
    saved = _save(tool)
    for table in _tables(tool):
        body = saved.split(f"*{table}\n", 1)[1].split("COMMIT", 1)[0]
        foreign = re.search(r"^-A |^:\S+ - |^:\S+ DROP", body, re.MULTILINE)
        if table not in before and not foreign:
            attempt("nft", "delete", "table", family, table)
