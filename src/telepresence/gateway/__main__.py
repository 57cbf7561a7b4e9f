"""Start the gateway from its command line.

Called by: the image's entry point.
Owns: the process's exit code: 0 when the laptop has gone, 1 when the network cannot be made.
Never: prints anything on standard output but the two words that the laptop waits for.
"""

import argparse
import asyncio
import logging
import sys

from telepresence.agent.__main__ import hexadecimal
from telepresence.agent.serve import Settings
from telepresence.errors import TelepresenceError
from telepresence.gateway.serve import Wanted, serve


def _ports(text: str) -> tuple[int, int]:
    pod, _, container = text.partition(":")
    return int(pod), int(container)


def _arguments(argv: list[str] | None) -> Wanted:
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--session", type=hexadecimal(16), required=True, help="the session's id")
    add("--secret-sha256", type=hexadecimal(32), required=True, help="SHA-256 of its secret")
    add("--carrier-port", type=int, required=True, help="where the laptop's carrier comes in")
    add("--resume-timeout", type=float, default=10.0, metavar="SECONDS",
        help="end when the laptop has been gone for so long")  # fmt: skip
    add("--expose", type=_ports, action="append", default=[], metavar="POD:CONTAINER")
    given = parser.parse_args(argv)
    return Wanted(
        settings=Settings(
            session=given.session,
            secret_sha256=given.secret_sha256,
            carrier_port=given.carrier_port,
            first_client_timeout_s=given.resume_timeout,
            resume_timeout_s=given.resume_timeout,
        ),
        exposed=tuple(given.expose),
    )


def main(argv: list[str] | None = None) -> int:
    wanted = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="gateway: %(message)s")
    try:
        reason = asyncio.run(serve(wanted))
    except (TelepresenceError, OSError) as exc:
        print(f"gateway: {exc}", file=sys.stderr, flush=True)
        return 1
    print(f"gateway: {reason}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
