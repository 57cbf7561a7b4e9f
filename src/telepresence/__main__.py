"""The command `telepresence`.

Called by: the console script.
Owns: the exit code, and the last word about an error.
Never: does anything that session does.
"""

import logging
import sys

from telepresence import __version__, cli
from telepresence.console import Console
from telepresence.errors import InternalError, TelepresenceError, UsageError
from telepresence.log import log_place, open_log
from telepresence.values import Task

log = logging.getLogger(__name__)


def _complain(console: Console, error: TelepresenceError) -> int:
    if isinstance(error, UsageError):  # one line, which a script can show
        console.say("; ".join(filter(None, (str(error), error.hint))))
        return error.exit_code
    console.say(str(error))
    if error.hint:
        console.say(error.hint)
    return error.exit_code


def _report(error: Exception) -> None:
    """What failed, with which object, and where more is to be read."""
    said = f"a bug of telepresence {__version__}: {type(error).__name__}: {error}"
    for note in getattr(error, "__notes__", ()):
        said += f"\nit happened with: {note}"
    place = log_place() or "nowhere: it was not open yet"
    Console().say(f"{said}\nplease report it, with the log: {place}")


def _task(task: Task) -> int:
    import asyncio

    from telepresence import tasks

    logging.getLogger().addHandler(logging.NullHandler())  # what matters is said
    if task.name == "doctor":
        from telepresence.doctor import report

        return asyncio.run(report.run(task))
    return asyncio.run(tasks.run(task, Console()))


def _session(argv: list[str]) -> int:
    """Parse, open the log, run; raises what goes wrong."""
    task = cli.parse_task(argv)
    if task is not None:
        return _task(task)
    if argv[:1] == ["rbac"]:
        from telepresence import tasks

        return tasks.rbac(cli.parse(argv[1:]))
    options = cli.parse(argv)
    open_log(options.logfile, verbose=options.verbose)
    log.info("telepresence %s on %s, %d words", __version__, sys.platform, len(argv))
    console = Console(verbose=options.verbose)
    # Imported here: --help and a wrong option need none of it.
    import asyncio

    import uvloop

    from telepresence import session

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(session.run(options, console)).code


def main() -> int:
    """Exit code of the whole command."""
    try:
        return _session(sys.argv[1:])
    except TelepresenceError as error:
        log.info("ended by %r", error)
        return _complain(Console(), error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the catch-all of the whole program
        log.exception("crash")
        _report(error)
        return InternalError.exit_code


if __name__ == "__main__":
    sys.exit(main())
