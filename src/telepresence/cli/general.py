"""Options of telepresence itself: version, verbosity, log.

Called by: cli.
Owns: nothing.
Never: opens the log.
"""

import argparse

from telepresence import __version__
from telepresence.cli.words import not_empty


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--version", action="version", version=__version__, help="print the version and exit")
    add("--verbose", action="store_true", help="say how long each stage took (default: do not)")
    add(
        "--logfile",
        default="./telepresence.log",
        type=not_empty,
        metavar="FILE",
        help="where the log goes, - for standard output (default: %(default)s)",
    )
