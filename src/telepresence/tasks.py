"""What telepresence does beside sessions: say who has one, give back what dead ones left, say
which rights are needed.

Called by: __main__.
Owns: their words on standard output.
Never: ends a session that lives.
"""

import json
import sys
from typing import TYPE_CHECKING

from telepresence import journal as journals
from telepresence import recovery
from telepresence.console import Console
from telepresence.errors import UsageError
from telepresence.journal import Journal
from telepresence.rights import rights, rules, wishes
from telepresence.values import Options, Task, Workload

if TYPE_CHECKING:
    from telepresence.cluster.api import Api


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def rbac(options: Options) -> int:
    """The Role for a session with these options, as YAML to apply."""
    workload = None
    target = options.swap_deployment or options.deployment
    if target is not None:
        from telepresence.cluster.workload import kind_named

        kind = kind_named(target.kind or "Deployment")
        workload = Workload(
            kind=kind.name, name=target.name, path="", plural=kind.plural, group=kind.group, uid="",
            version="", replicas=1, selector="", template={},
        )  # fmt: skip
    place = f", namespace: {options.namespace}" if options.namespace else ""
    wanted = tuple(dict.fromkeys((*rights(options, workload), *wishes(options))))
    _print(f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: telepresence{place}}}
rules:
{rules(wanted)}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: telepresence{place}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: telepresence}}
subjects:
  - {{apiGroup: rbac.authorization.k8s.io, kind: User, name: CHANGE-ME}}""")
    return 0


def _row(what: str, where: str, since: str, by: str, state: str) -> None:
    _print(f"{what:<36} {where:<20} {since:<20} {by:<24} {state}")


def _headers() -> list[tuple[dict[str, str], bool]]:
    """Of each journal of this machine: what stands on top, and whether anybody minds it."""
    found = []
    for path in journals.paths():
        try:
            header = json.loads(path.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            continue
        taken = Journal.take(path)
        if taken is not None:
            taken.release()
        found.append((header, taken is None))
    return found


async def _status(api: "Api", task: Task) -> int:
    from telepresence.cluster import survey

    _row("WHAT", "WHERE", "SINCE", "WHO", "STATE")
    for header, is_minded in _headers():
        what = header.get("workload") or f"pod {header.get('pod')}"
        where = f"{header.get('context')}/{header.get('namespace')}"
        state = "live" if is_minded else "dead: telepresence restore"
        _row(what, where, header.get("since", "?"), "this machine", state)
    seen = await survey.leases(api, everywhere=task.all)
    seen += await survey.pods(api, everywhere=task.all)
    for one in seen:
        state = "live" if one.is_alive else "dead: telepresence restore"
        _row(one.what, one.namespace, one.since, one.by, state)
    return 0


async def _restore(api: "Api", task: Task, console: Console) -> int:
    from telepresence.cluster import survey

    failures = []
    for journal in recovery.dead():
        what = journal.header.get("workload") or f"pod {journal.header.get('pod')}"
        failures += await recovery.undo_pending(journal)
        journal.close()
        console.say(f"a session of this machine: {what}")
    async for what in survey.give_back(api, everywhere=task.all):
        console.say(f"restored: {what}")
    for failure in failures:
        console.say(f"still left behind: {failure}")
    return 255 if failures else 0


async def run(task: Task, console: Console) -> int:
    """The exit code.  ClusterError when the cluster does not answer."""
    from telepresence.cluster import api

    connection = await api.connect(task.context, task.namespace)
    try:
        if task.name == "status":
            return await _status(connection, task)
        if task.name == "restore":
            return await _restore(connection, task, console)
        raise UsageError(f"there is no command {task.name}")
    finally:
        await connection.close()
