"""The process that undoes a session whose own process is gone: killed, out of memory, crashed.

Called by: guarded.py, as `python -m telepresence.guard`, in a session of its own.
Owns: the other half of the journal's lock; the undoing, once the pipe to the session is closed.
Never: does anything while the session lives; hears the terminal's signals.

It starts while the session's pod does, on the same processors, and mostly in vain: what the undoing
needs is imported when there is something to undo.
"""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telepresence.journal import Journal

# A cluster that cannot be reached may be so because the laptop is asleep or in a train.
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
GIVE_UP_S = 6 * 3600.0  # then the next run, or `telepresence restore`, has the journal


def _follow_log(path: str) -> None:
    """Go on in the session's log."""
    import logging

    from telepresence.log import open_log

    try:
        open_log(path or os.devnull, verbose=False, append=True)
    except Exception:  # noqa: BLE001 # the undoing matters more than its log
        logging.disable()


async def _undo(journal: "Journal") -> None:
    import asyncio

    from telepresence.recovery import undo_pending

    tried_s, tries = 0.0, 0
    while journal.pending and tried_s < GIVE_UP_S:
        if not await undo_pending(journal):
            break
        pause_s = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
        await asyncio.sleep(pause_s)
        tried_s, tries = tried_s + pause_s, tries + 1


def _act(path: Path, fd: int) -> None:
    """The session's process is gone, and has not crossed out everything, perhaps."""
    import asyncio
    import logging

    from telepresence.journal import Journal

    journal = Journal(path, fd)
    if journal.read() and journal.pending:
        _follow_log(str(journal.header.get("log", "")))
        logging.getLogger(__name__).warning(
            "the session's process is gone; undoing %d steps", len(journal.pending)
        )
        asyncio.run(_undo(journal))
    journal.close()


def main(argv: list[str]) -> int:
    """Wait for the end of standard input, then undo what is pending."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    path, fd = Path(argv[0]), int(argv[1])
    while os.read(0, 1024):
        pass
    if os.fstat(fd).st_nlink:
        _act(path, fd)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
