"""The command line: argv in, Options out.

Called by: __main__.
Owns: the words of --help, which is the manual.
Never: looks at the machine or the cluster; whatever needs that is refused in plan.py.
"""

import argparse
import re

from telepresence import __version__
from telepresence.errors import UsageError
from telepresence.values import Options

_EPILOG = """\
examples:
  a shell whose programs are in the cluster:
      telepresence -m inject-tcp --run-shell
  one program, with a name for its pod:
      telepresence -m inject-tcp -n quickstart --run curl -s http://helloworld

exit codes:
  the command's own; 128+N when signal N ended it; 2 for a command line that cannot be
  carried out; 255 when the cluster, the tunnel or this machine stood in the way; 0 when
  telepresence was told to end by SIGTERM or SIGHUP; 130 for Ctrl-C before the command ran
"""

# Kubernetes, "Object Names and IDs": RFC 1123 label, which a Service of the same name needs too.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> "None":  # type: ignore[override] # raises instead of exiting
        raise UsageError(message, hint="telepresence --help lists every option")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no Kubernetes name (lower-case letters, digits and -, 63 at most)"
        )
    return text


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="telepresence",
        description="Run a process on your laptop as if it were in a Kubernetes pod.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_session(parser)
    _add_cluster(parser)
    _add_command(parser)
    return parser


def _add_session(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--version", action="version", version=__version__)
    add("--verbose", action="store_true", help="say how long each stage took (default: do not)")
    add(
        "--logfile",
        default="./telepresence.log",
        type=_not_empty,
        metavar="FILE",
        help="where the log goes, - for standard output (default: %(default)s)",
    )
    add(
        "-m",
        "--method",
        choices=["inject-tcp"],
        default="inject-tcp",
        help="how the command reaches the cluster: a preloaded library (default: %(default)s)",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-n",
        "--new-deployment",
        type=_name,
        metavar="NAME",
        help="name of the proxy's pod, which is deleted at the end (default: a random name)",
    )
    add("--context", type=_not_empty, help="context of the kubeconfig (default: its current one)")
    add(
        "--namespace",
        type=_not_empty,
        help="namespace to work in (default: the context's, else 'default')",
    )
    add(
        "--image",
        type=_not_empty,
        metavar="NAME:TAG",
        help="image of the proxy's pod (default: telepresence-agent of this version, behind "
        "$TELEPRESENCE_REGISTRY/ if that is set; $TELEPRESENCE_VERSION is another tag)",
    )


def _add_command(parser: argparse.ArgumentParser) -> None:
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument("--run-shell", action="store_true", help="run your $SHELL (the default)")
    runs.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND [ARG ...]",
        help="run this command; everything after --run belongs to it",
    )


def parse(argv: list[str]) -> Options:
    """UsageError for what cannot be carried out; SystemExit 0 after --help and --version."""
    # argparse's REMAINDER stumbles over `--`: the command's words never reach it.
    at = argv.index("--run") + 1 if "--run" in argv else len(argv)
    parser = _parser()
    given = parser.parse_args(argv[:at])
    if given.run is not None and not any(argv[at : at + 1]):  # none, an empty one, or --run=WORD
        parser.error("--run needs a command, as words of their own after it")
    return Options(
        method=given.method,
        new_deployment=given.new_deployment,
        command=tuple(argv[at:]),
        context=given.context,
        namespace=given.namespace,
        image=given.image,
        logfile=given.logfile,
        verbose=given.verbose,
    )
