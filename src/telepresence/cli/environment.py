"""Which variables the command gets, and the files that tell of them.

Called by: cli.
Owns: nothing.
Never: opens a file.
"""

import argparse

from telepresence.cli.words import not_empty
from telepresence.environ.syntax import SYNTAXES


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the environment").add_argument
    add(
        "--env-include",
        action="append",
        default=[],
        type=not_empty,
        metavar="PATTERN",
        help="take the pod's values of these variables although they are of those that stay the "
        "laptop's, such as HOME, PATH, LD_*; may be repeated (default: none)",
    )
    add(
        "--env-exclude",
        action="append",
        default=[],
        type=not_empty,
        metavar="PATTERN",
        help="do not take the pod's values of these variables; may be repeated (default: none)",
    )
    add(
        "--env-json",
        type=not_empty,
        metavar="FILE",
        help="write the pod's variables to a JSON file before the command starts (default: do not)",
    )
    add(
        "--env-file",
        type=not_empty,
        metavar="FILE",
        help="write them to a file of lines, KEY=VALUE (default: do not)",
    )
    add(
        "--env-syntax",
        choices=SYNTAXES,
        help="syntax of --env-file (default: by its suffix .sh, .fish or .csh, else compose)",
    )
