"""Which cluster, where in it, and as what the proxy's pod runs.

Called by: cli.
Owns: nothing.
Never: reads the kubeconfig.
"""

import argparse

from telepresence.cli.words import not_empty, object_name, seconds


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the cluster").add_argument
    add(
        "--context",
        type=not_empty,
        metavar="NAME",
        help="context of the kubeconfig (default: its current one)",
    )
    add(
        "--namespace",
        type=not_empty,
        metavar="NAME",
        help="namespace to work in (default: the context's, else 'default')",
    )
    add(
        "--image",
        type=not_empty,
        metavar="NAME:TAG",
        help="image of the proxy's pod (default: telepresence-agent of this version, behind "
        "$TELEPRESENCE_REGISTRY/ if that is set; $TELEPRESENCE_VERSION is another tag)",
    )
    add(
        "--image-pull-secret",
        action="append",
        default=[],
        type=object_name,
        metavar="NAME",
        help="Secret of the namespace with the image's registry's password; may be given again "
        "(default: those of the service account, and of a swapped workload)",
    )
    add(
        "--serviceaccount",
        type=object_name,
        metavar="NAME",
        help="service account of the proxy's pod (default: the workload's, else the namespace's)",
    )
    add(
        "--ready-timeout",
        dest="ready_timeout_s",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="how long the pod may take to start, as while its image is pulled; after 6 s it is "
        "told what it waits for (default: %(default).0f)",
    )
