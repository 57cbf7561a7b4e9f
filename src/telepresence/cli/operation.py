"""Which pod the command is to be: a new one, or a workload's.

Called by: cli.
Owns: nothing.
Never: asks whether the workload exists.
"""

import argparse

from telepresence.cli.words import name


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the pod, one of").add_mutually_exclusive_group().add_argument
    add(
        "-n",
        "--new-deployment",
        type=name,
        metavar="NAME",
        help="name of the proxy's pod, which is deleted at the end (default: a random name)",
    )
