"""Which pod the command is to be: a new one, or a workload's.

Called by: cli.
Owns: nothing.
Never: asks whether the workload exists.
"""

import argparse

from telepresence.cli.words import name, target


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the pod, one of").add_mutually_exclusive_group().add_argument
    add(
        "-n",
        "--new-deployment",
        type=name,
        metavar="NAME",
        help="a new pod of this name, deleted at the end (the default, with a random name)",
    )
    add(
        "-s",
        "--swap-deployment",
        type=target,
        metavar="NAME[:CONTAINER]",
        help="take the place of this Deployment (DeploymentConfig, StatefulSet, ReplicaSet; "
        "KIND/NAME says which): it is at 0 replicas meanwhile, a copy of its pod runs with the "
        "command in place of the container (default: of its first one)",
    )
    add(
        "-d",
        "--deployment",
        type=target,
        metavar="NAME[:CONTAINER]",
        help="use a pod of this workload, which runs the agent's image already, and change nothing "
        "(default: of its containers the first with that image)",
    )
