"""How the command reaches the cluster.

Called by: cli.
Owns: the names of the methods, and which is the default.
Never: asks whether this machine can do it.
"""

import argparse

from telepresence.cli.words import network, proxied

METHODS = ("inject-tcp", "vpn-tcp", "container")


def add_to(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the network").add_argument
    add(
        "-m",
        "--method",
        choices=METHODS,
        help="how the command reaches the cluster: vpn-tcp, by firewall rules for the whole "
        "machine, which needs root; inject-tcp, by a preloaded library; container, in a container "
        "that shares the network of a proxy container (default: container with --docker-run, else "
        "vpn-tcp)",
    )
    add(
        "--also-proxy",
        action="append",
        default=[],
        type=proxied,
        metavar="IP|RANGE|NAME",
        help="vpn-tcp: reach this through the cluster, too; may be given several times "
        "(default: the cluster's pods and Services)",
    )
    add(
        "--never-proxy",
        action="append",
        default=[],
        type=network,
        metavar="IP|RANGE",
        help="vpn-tcp: leave this to the laptop's own network; may be given several times "
        "(default: the API server, and nothing else)",
    )
    add(
        "--local-cluster",
        action="store_true",
        dest="is_near",
        help="vpn-tcp: the cluster is on this machine, so its DNS may ask this machine's resolvers "
        "(default: found out by context, API server and nodes)",
    )
    add(
        "--inject",
        choices=["auto", "preload", "seccomp"],
        default="auto",
        help="what carries inject-tcp: a library that is preloaded, system calls that a supervisor "
        "answers (seccomp; Linux), or the library where it can enter a program and the supervisor "
        "for what passes it by: static, Go and setuid programs (default: %(default)s)",
    )
