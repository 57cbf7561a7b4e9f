"""The commands that are no session: status, restore, rbac.

Called by: cli.
Owns: their words, of which the first decides.
Never: asks the cluster.
"""

import argparse

from telepresence.cli.words import not_empty
from telepresence.values import Task

_ABOUT = {
    "status": "Who has a session on this machine and in the namespace, since when, and what is "
    "swapped.",
    "restore": "Undo what sessions left that died without undoing it: those of this machine, and "
    "in the namespace those of others whose leases have ended.  Live sessions are left alone.",
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
    add("--all", action="store_true", help="every namespace (default: that one)")
    given = parser.parse_args(words)
    return Task(name=name, context=given.context, namespace=given.namespace, all=given.all)
