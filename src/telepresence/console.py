"""The only voice that the user hears: lines on stderr that begin with `T: `.

Called by: __main__ and session.
Owns: nothing.
Never: writes to stdout, which belongs to the user's command.
"""

import logging
import sys
import time

log = logging.getLogger(__name__)


class Console:
    """Says things, and how long each stage took when asked to be verbose."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._hints = sys.stderr.isatty()
        self._began = time.monotonic()
        self.stages: list[tuple[str, float]] = []  # name, seconds since the start

    def say(self, text: str) -> None:
        log.info(">>> %s", text)
        sys.stderr.write("".join(f"T: {line}\n" for line in text.splitlines()))
        sys.stderr.flush()

    def hint(self, text: str) -> None:
        """Only for a person at a terminal, as Telepresence 1 has it."""
        if self._hints or self._verbose:
            self.say(text)

    def stage(self, name: str) -> None:
        """A stage is done."""
        elapsed_s = time.monotonic() - self._began
        self.stages.append((name, elapsed_s))
        log.info("stage: %s after %.3f s", name, elapsed_s)
        if self._verbose:
            before_s = self.stages[-2][1] if len(self.stages) > 1 else 0.0
            self.say(f"{elapsed_s:6.3f} s (+{elapsed_s - before_s:.3f}) {name}")
