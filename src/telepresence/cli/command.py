"""What is run: a shell, or the words after --run.

Called by: cli.
Owns: where our words end and the command's begin.
Never: asks whether the command exists.
"""

import argparse
from typing import Any

from telepresence.cli.words import not_empty
from telepresence.method.container.compose import take_words

_TAKES_THE_REST = ("--run", "--docker-run", "--docker-compose")


def add_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the command, one of")
    add = group.add_mutually_exclusive_group().add_argument
    add("--run-shell", action="store_true", help="run your $SHELL (the default)")
    add(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND [ARG ...]",
        help="run this command; everything after --run belongs to it (default: a shell)",
    )
    add(
        "--docker-run",
        nargs=argparse.REMAINDER,
        metavar="[OPTION ...] IMAGE [ARG ...]",
        help="run this container: the words of docker run, options for it included (default: none)",
    )
    add(
        "--docker-compose",
        nargs=argparse.REMAINDER,
        metavar="[OPTION ...]",
        help="run the service that --compose-service names, of the compose file of this directory "
        "or of -f FILE; --profile, --env-file and the like of docker compose are taken, too "
        "(default: none)",
    )
    containers = parser.add_argument_group("containers")
    containers.add_argument(
        "--compose-service",
        type=not_empty,
        metavar="NAME",
        help="--docker-compose: the service that takes the pod's place (default: none)",
    )
    containers.add_argument(
        "--docker",
        default="docker",
        type=not_empty,
        metavar="PROGRAM",
        help="the engine's client: docker, podman, nerdctl, or a path (default: %(default)s)",
    )


def split(argv: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Our words, and the command's: argparse stumbles over `--` and never sees the latter."""
    at = min((argv.index(word) + 1 for word in _TAKES_THE_REST if word in argv), default=len(argv))
    return argv[:at], tuple(argv[at:])


def take(
    parser: argparse.ArgumentParser, given: dict[str, Any], words: tuple[str, ...]
) -> tuple[str, ...]:
    """The command, empty for a shell; takes this group's fields out of what was given."""
    del given["run_shell"]
    run = given.pop("run")
    if (given["docker_compose"] is None) != (given["compose_service"] is None):
        parser.error("--compose-service NAME and --docker-compose go together")
    if given["docker_run"] is not None:
        given["docker_run"] = words
        given["method"] = given["method"] or "container"
        return ()
    if given["docker_compose"] is not None:
        given["docker_compose"] = take_words(words)
        given["method"] = given["method"] or "container"
        return ()
    given["method"] = given["method"] or "vpn-tcp"
    if run is not None and not any(words[:1]):  # none, an empty one, or --run=WORD
        parser.error("--run needs a command, as words of their own after it")
    return words
