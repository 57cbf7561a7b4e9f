"""Which ports lead from the pod to the laptop, and the other way.

Called by: cli.
Owns: the form PORT[:REMOTE].
Never: asks whether a port is free.
"""

import argparse
from typing import Any

from telepresence.cli.words import container_pair, port, port_pair


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("ports").add_argument
    add(
        "--expose",
        type=port_pair,
        action="append",
        default=[],
        metavar="PORT[:REMOTE]",
        help="connections to port REMOTE of the pod reach PORT of this machine's localhost "
        "(default: REMOTE is PORT; the TCP ports that a swapped container declares are exposed "
        "anyway).  A new pod gets a Service of its name.  May be given again",
    )
    add(
        "--from-pod",
        type=port,
        action="append",
        default=[],
        metavar="PORT",
        help="connections to this port of the pod's localhost reach the same one here: for "
        "containers beside the replaced one.  May be given again (default: none)",
    )
    add(
        "--to-pod",
        type=port,
        action="append",
        default=[],
        metavar="PORT",
        help="connections to this port of localhost here reach the pod's, as its containers do "
        "among themselves.  May be given again (default: none)",
    )
    add(
        "--container-to-host",
        type=container_pair,
        action="append",
        default=[],
        metavar="PORT[:HOST_PORT]",
        help="--docker-run: connections to PORT of the container's localhost reach HOST_PORT of "
        "this machine's, as for an IDE's debugger (default: HOST_PORT is PORT).  May be given "
        "again",
    )
    add(
        "--ready-when-listening",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let the pod be ready, and so get its Services' connections, only while the "
        "exposed ports are listened on here (default: yes for a swapped workload, else no)",
    )


def refuse(parser: argparse.ArgumentParser, given: dict[str, Any]) -> None:
    """The same port used for two things."""
    pod = [pair.pod for pair in given["expose"]] + given["from_pod"]
    laptop = [pair.laptop for pair in given["expose"]] + given["from_pod"]
    for number in pod:
        if pod.count(number) > 1:
            parser.error(f"port {number} of the pod is given twice (--expose, --from-pod)")
    for number in given["to_pod"]:
        if given["to_pod"].count(number) > 1:
            parser.error(f"argument --to-pod: port {number} is given twice")
        if number in laptop:
            parser.error(f"port {number} would lead to the pod and back (--to-pod)")
