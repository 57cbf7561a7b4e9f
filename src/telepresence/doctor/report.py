"""Put the findings together, a line each, and make the exit code of them.

Called by: __main__.
Owns: the words on standard output.
Never: judges; the other modules do.
"""

import os
import sys

from telepresence.doctor import cluster, machine, names
from telepresence.doctor.finding import EVERY, Finding
from telepresence.plan import image_named
from telepresence.values import Task

DEFAULT_METHOD = "vpn-tcp"


def exit_code(found: list[Finding], method: str) -> int:
    """1 when something stands in the way of that method."""
    return int(any(each.is_in_the_way and each.method in (method, EVERY) for each in found))


async def run(task: Task) -> int:
    method = task.method or DEFAULT_METHOD
    image = image_named(task.image, dict(os.environ))
    found = [
        *machine.findings(),
        *names.findings(),
        *await cluster.findings(task.context, task.namespace, image),
    ]
    wanted = {task.method, EVERY} if task.method else None
    for each in found:
        if wanted is None or each.method in wanted:
            sys.stdout.write(each.line() + "\n")
    code = exit_code(found, method)
    verdict = "something stands in the way of" if code else "nothing stands in the way of"
    sys.stdout.write(f"{verdict} --method {method}\n")
    return code
