"""Start the gateway from its command line.

Called by: the image's entry point.
Owns: the process's exit code: 0 when the laptop has gone, 1 when the network cannot be made.
Never: prints anything on standard output but what the laptop waits for (serve.py).
"""

import argparse
import sys
from dataclasses import replace

from telepresence.agent.__main__ import hexadecimal, run
from telepresence.agent.serve import Settings
from telepresence.gateway.serve import Wanted, serve
from telepresence.values import Port


def _exposed(text: str) -> Port:
    pod, _, container = text.partition(":")
    return Port(pod=int(pod), laptop=int(container))


def _declared(text: str) -> Port:
    return replace(_exposed(text), is_declared=True)


def _arguments(argv: list[str] | None) -> Wanted:
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--session", type=hexadecimal(16), required=True, help="the session's id")
    add("--secret-sha256", type=hexadecimal(32), required=True, help="SHA-256 of its secret")
    add("--carrier-port", type=int, required=True, help="where the laptop's carrier comes in")
    add("--resume-timeout", type=float, default=10.0, metavar="SECONDS",
        help="end when the laptop has been gone for so long")  # fmt: skip
    add("--expose", type=_exposed, action="append", default=[], metavar="POD:CONTAINER")
    add("--declared", type=_declared, action="append", dest="expose", metavar="POD:CONTAINER",
        help="the same, of a port that may be taken in the pod")  # fmt: skip
    add("--from-pod", type=int, action="append", default=[], metavar="PORT")
    add("--to-pod", type=int, action="append", default=[], metavar="PORT")
    add("--ready-when-listening", action="store_true")
    add("--back-port", type=int, default=0, metavar="PORT",
        help="where the carrier of the laptop's own ports comes in")  # fmt: skip
    add("--container-to-host", type=int, action="append", default=[], metavar="PORT",
        help="a port that the laptop will ask for there")  # fmt: skip
    given = parser.parse_args(argv)
    return Wanted(
        settings=Settings(
            session=given.session,
            secret_sha256=given.secret_sha256,
            carrier_port=given.carrier_port,
            first_client_timeout_s=given.resume_timeout,
            resume_timeout_s=given.resume_timeout,
        ),
        expose=tuple(given.expose),
        from_pod=tuple(given.from_pod),
        to_pod=tuple(given.to_pod),
        ready_when_listening=given.ready_when_listening,
        back_port=given.back_port,
        container_to_host=tuple(given.container_to_host),
    )


def main(argv: list[str] | None = None) -> int:
    return run("gateway", serve(_arguments(argv)))


if __name__ == "__main__":
    sys.exit(main())
