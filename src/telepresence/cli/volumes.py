"""Where the pod's volumes are to be seen.

Called by: cli.
Owns: nothing.
Never: asks whether the place exists.
"""

import argparse
from pathlib import Path

from telepresence.values import Mounting

_TRUE, _FALSE = ("true", "on", "yes", "1"), ("false", "off", "no", "0")  # Telepresence 1's words


def _mounting(text: str) -> Mounting:
    word = text.lower()
    if word == "copy":
        return Mounting(mode="copy", is_required=True)
    if word in _TRUE:
        return Mounting(mode="fuse", is_required=True)
    if word in _FALSE:
        return Mounting(mode="none")
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither true, false, copy nor an absolute path"
        )
    return Mounting(mode="fuse", path=Path(text), is_required=True)


def _inside(text: str) -> Mounting:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is no absolute path")
    return Mounting(mode="fuse", inside=Path(text), is_required=True)


def add_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the volumes")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--mount",
        type=_mounting,
        default=Mounting(mode="fuse"),
        metavar="true|false|copy|PATH",
        help="show the pod's file system in a directory that $TELEPRESENCE_ROOT names: a temporary "
        "one, none, or this one, which is made if it is missing; copy: secrets, configmaps, "
        "downward and projected volumes alone, as files that are renewed, without FUSE (default: "
        "a temporary one, or none where FUSE or sshfs is missing)",
    )
    one.add_argument(
        "--docker-mount",
        type=_inside,
        dest="mount",
        metavar="PATH",
        help="--docker-run: show the pod's file system at PATH of the container, which "
        "$TELEPRESENCE_ROOT then names (default: where --mount has it)",
    )
    group.add_argument(
        "--volumes-at-real-paths",
        action="store_true",
        help="show each volume of the pod at its own path as well, to the command alone (Linux; "
        "default: under $TELEPRESENCE_ROOT only)",
    )
