"""The journal of a session and the guard beside it, as the session has them.

Called by: session.
Owns: the pipe to the guard, the lock of the journal and the directory of the session's files.
Never: undoes what the session undoes itself; ends before the guard.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from telepresence.errors import ClusterError, MethodError
from telepresence.journal import Entry, Journal, this_boot
from telepresence.values import Plan

if TYPE_CHECKING:
    from telepresence.cluster.api import Api

log = logging.getLogger(__name__)

END_TIMEOUT_S = 5.0


class Guarded:
    """The journal of a session, its guard, and a directory for its files until the end."""

    def __init__(self, plan: Plan, logfile: str, api: "Api") -> None:
        self._plan, self._logfile, self._api = plan, logfile, api
        self._guard: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._directory = ""
        self.journal: Journal

    async def __aenter__(self) -> Journal:
        plan = self._plan
        places = filter(None, os.environ.get("KUBECONFIG", "").split(":"))
        kubeconfig = ":".join(str(Path(place).absolute()) for place in places)
        header = {
            "context": plan.context,
            "namespace": plan.namespace,
            "kubeconfig": kubeconfig,
            "pid": os.getpid(),
            "boot": this_boot(),
            "since": plan.since,
            "log": "" if self._logfile == "-" else str(Path(self._logfile).absolute()),
            "pod": plan.pod_name,
            "workload": str(plan.workload or plan.existing or ""),
        }
        try:
            self.journal = Journal.create(plan.session.hex(), header)
        except OSError as exc:
            raise MethodError(
                f"cannot write the undo journal: {exc}", hint="$XDG_STATE_HOME names its place"
            ) from exc
        theirs, self._pipe = os.pipe()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "telepresence.guard", str(self.journal.path),
             str(self.journal.fd)],
            stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(self.journal.fd,), start_new_session=True, cwd="/",
        )  # fmt: skip
        os.close(theirs)
        name = f"telepresence-{plan.session.hex()[:12]}"
        self._directory = str(Path(tempfile.gettempdir()) / name)
        self.journal.write(Entry(kind="directory", facts={"path": self._directory}))
        Path(self._directory).mkdir(mode=0o700)
        tempfile.tempdir = self._directory  # whatever a room makes there goes with it
        log.info("the guard is process %d", self._guard.pid)
        return self.journal

    async def __aexit__(self, *_: object) -> None:
        """ClusterError: something is left, which the guard goes on trying to undo."""
        from telepresence import recovery

        tempfile.tempdir = None
        left = await recovery.undo_pending(self.journal, self._api)
        self.journal.close()
        os.close(self._pipe)
        if left:
            raise ClusterError("; ".join(left))
        if self._guard is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._guard.wait, END_TIMEOUT_S)
