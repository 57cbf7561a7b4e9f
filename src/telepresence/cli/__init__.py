"""The command line: argv in, Options out; a module for each group of --help.

Called by: __main__.
Owns: the words of --help, which is the manual, and the order of the groups.
Never: looks at the machine or the cluster; whatever needs that is refused in plan.py.

A new option is one `add` in its group, whose argparse dest is the name of its field in Options.
"""

import argparse
from typing import Any

from telepresence.cli import (
    cluster,
    command,
    environment,
    general,
    method,
    operation,
    ports,
    task,
    volumes,
)
from telepresence.errors import UsageError
from telepresence.values import Options, Task

_EPILOG = """\
other commands (telepresence COMMAND --help):
  status     who has a session here and in the namespace, and what is swapped
  restore    undo what sessions left that were killed together with their guards
  doctor     what of this machine and the cluster stands in the way of each method
  rbac       print the Role that a session needs: telepresence rbac OPTIONS-OF-THE-SESSION

examples:
  a shell, and with it the whole machine, in the cluster:
      telepresence --run-shell
  one program, with a name for its pod, without root:
      telepresence -m inject-tcp -n quickstart --run curl -s http://helloworld

exit codes:
  the command's own; 128+N when signal N ended it; 2 for a command line that cannot be
  carried out; 255 when the cluster, the tunnel or this machine stood in the way; 0 when
  telepresence was told to end by SIGTERM or SIGHUP; 130 for Ctrl-C before the command ran
"""

_GROUPS = (general, operation, method, ports, environment, volumes, cluster, command)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override] # raises instead of exiting
        raise UsageError(message, hint="telepresence --help lists every option")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="telepresence",
        description="Run a process on your laptop as if it were in a Kubernetes pod.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for group in _GROUPS:
        group.add_to(parser)
    return parser


def parse_task(argv: list[str]) -> Task | None:
    """UsageError as parse(); None when the words are those of a session."""
    return task.take(argv, _Parser)


def parse(argv: list[str]) -> Options:
    """UsageError for what cannot be carried out; SystemExit 0 after --help and --version."""
    parser = _parser()
    ours, words = command.split(argv)
    given: dict[str, Any] = vars(parser.parse_args(ours))
    ports.refuse(parser, given)
    run = command.take(parser, given, words)
    given |= {key: tuple(words) for key, words in given.items() if isinstance(words, list)}
    return Options(**given, command=run)
