"""The process that undoes a session whose own process is gone: killed, out of memory, crashed.

Called by: session (Guarded); started as `python -m telepresence.guard`, in a session of its own.
Owns: the other half of the journal's lock; the undoing, once the pipe to the session is closed.
Never: does anything while the session lives; hears the terminal's signals.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from telepresence.errors import ClusterError, MethodError
from telepresence.journal import Entry, Journal, this_boot
from telepresence.values import Plan

if TYPE_CHECKING:
    from telepresence.cluster.api import Api

log = logging.getLogger(__name__)

# A cluster that cannot be reached may be so because the laptop is asleep or in a train.
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
GIVE_UP_S = 6 * 3600.0  # then the next run, or `telepresence restore`, has the journal
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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


def _follow_log(path: str) -> None:
    """Go on in the session's log."""
    from telepresence.log import open_log

    try:
        open_log(path or os.devnull, verbose=False, append=True)
    except Exception:  # noqa: BLE001 # the undoing matters more than its log
        logging.disable()


async def _undo(journal: Journal) -> None:
    from telepresence.recovery import undo_pending

    tried_s, tries = 0.0, 0
    while journal.pending and tried_s < GIVE_UP_S:
        if not await undo_pending(journal):
            break
        pause_s = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
        await asyncio.sleep(pause_s)
        tried_s, tries = tried_s + pause_s, tries + 1


def main(argv: list[str]) -> int:
    """Wait for the end of standard input, then undo what is pending."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    path, fd = Path(argv[0]), int(argv[1])
    while os.read(0, 1024):
        pass
    if os.fstat(fd).st_nlink == 0:
        return 0
    journal = Journal(path, fd)
    if journal.read() and journal.pending:
        _follow_log(str(journal.header.get("log", "")))
        log.warning("the session's process is gone; undoing %d steps", len(journal.pending))
        asyncio.run(_undo(journal))
    journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
