"""Leave the terminal as it was, whatever the user's process has done to it.

Called by: runner.py.
Owns: the terminal's settings from before the process.
Never: takes the terminal from a program that still runs, as from the shell after `bg`.
"""

import contextlib
import os
import signal
import termios

STDIN = 0


class Terminal:
    """What it was like when this was made; restore() after the process."""

    def __init__(self) -> None:
        self._settings: list[object] | None = None
        with contextlib.suppress(termios.error, OSError):
            if os.isatty(STDIN) and os.tcgetpgrp(STDIN) == os.getpgrp():
                self._settings = termios.tcgetattr(STDIN)

    def restore(self, *, settings_too: bool) -> None:
        """Be its foreground again if the group that was, a shell's, is gone.

        settings_too: the process was killed and may have left it raw."""
        if self._settings is None:
            return
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # tcsetpgrp(3), from the background
        try:
            with contextlib.suppress(OSError, termios.error):
                if _is_gone(os.tcgetpgrp(STDIN)):
                    os.tcsetpgrp(STDIN, os.getpgrp())
                if settings_too and os.tcgetpgrp(STDIN) == os.getpgrp():
                    termios.tcsetattr(STDIN, termios.TCSADRAIN, self._settings)  # type: ignore[arg-type] # as it came
        finally:
            signal.signal(signal.SIGTTOU, before)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
