#!/usr/bin/env python3
"""The command telepresence, killed at one of its steps: before or after it writes a line of the
journal or changes something in the cluster.

    killed.py STEP FILE WORDS...     FILE gets the number of steps, if it comes so far

Called by: test_killed.py.
Owns: nothing.
Never: changes what the command does up to that step.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from telepresence import __main__
from telepresence.cluster.api import Api
from telepresence.journal import Journal

STEP, COUNT = int(sys.argv[1]), Path(sys.argv[2])
steps = 0


def step() -> None:
    global steps
    steps += 1
    if steps == STEP:
        os.kill(os.getpid(), signal.SIGKILL)


append, request = Journal._append, Api.request


def append_in_steps(self: Journal, said: dict[str, Any]) -> None:
    step()
    append(self, said)
    step()


async def request_in_steps(self: Api, method: str, path: str, *rest: Any, **query: str) -> Any:
    if method == "GET" or "reviews" in path:
        return await request(self, method, path, *rest, **query)
    step()
    answer = await request(self, method, path, *rest, **query)
    step()
    return answer


Journal._append = append_in_steps  # type: ignore[method-assign]
Api.request = request_in_steps  # type: ignore[method-assign]
sys.argv[1:] = sys.argv[3:]
code = __main__.main()
COUNT.write_text(str(steps))
sys.exit(code)
