"""The commands that are no session: status, restore, doctor, rbac.

Called by: cli.
Owns: their words, of which the first decides.
Never: asks the cluster.
"""

import argparse

from telepresence.cli.method import METHODS
from telepresence.cli.words import not_empty
from telepresence.values import Task

_ABOUT = {
    "status": "Who has a session on this machine and in the namespace, since when, and what is "
    "swapped.",
    "restore": "Undo what sessions left that died without undoing it: those of this machine, and "
    "in the namespace those of others whose leases have ended.  Live sessions are left alone.",
    "doctor": "What of this machine and of the cluster stands in the way of each method, a line "
    "each with what to do.  The exit code is 1 when something does.",
}


def take(argv: list[str], make_parser: type[argparse.ArgumentParser]) -> Task | None:
    """None: these are the words of a session, or of `rbac`, which has a session's."""
    if not argv or argv[0] not in _ABOUT:
        return None
    name, *words = argv
    parser = make_parser(prog=f"telepresence {name}", description=_ABOUT[name], allow_abbrev=False)
    add = parser.add_argument
    add("--context", type=not_empty, metavar="NAME", help="default: the kubeconfig's current one")
    add("--namespace", type=not_empty, metavar="NAME", help="default: the context's")
    if name == "doctor":
        add("-m", "--method", choices=METHODS, help="default: all; the exit code is vpn-tcp's")
        add("--image", type=not_empty, metavar="NAME:TAG", help="default: that of this version")
    else:
        add("--all", action="store_true", help="every namespace (default: that one)")
    return Task(name=name, **vars(parser.parse_args(words)))
