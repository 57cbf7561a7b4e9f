"""Start helper programs so that they cannot outlive this process.

Called by: tunnel/.
Owns: nothing; the caller owns the process.
Never: runs code between fork and exec, which is not safe beside the engine's threads.
"""

import shutil
import sys


def bound_to_us(argv: list[str]) -> list[str]:
    """The command, made to get SIGTERM when this process dies: prctl(2), PR_SET_PDEATHSIG, through
    util-linux's setpriv; elsewhere as it is."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", "--", *argv] if setpriv else argv
