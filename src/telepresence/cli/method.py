"""How the command reaches the cluster.

Called by: cli.
Owns: the names of the methods, and which is the default.
Never: asks whether this machine can do it.
"""

import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the network").add_argument
    add(
        "-m",
        "--method",
        choices=["inject-tcp"],
        default="inject-tcp",
        help="how the command reaches the cluster: a preloaded library (default: %(default)s)",
    )
