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
    add(
        "--inject",
        choices=["auto", "preload", "seccomp"],
        default="auto",
        help="what carries inject-tcp: a library that is preloaded, system calls that a supervisor "
        "answers (seccomp; Linux), or the library where it can enter a program and the supervisor "
        "for what passes it by: static, Go and setuid programs (default: %(default)s)",
    )
