"""Start the agent from its command line.

Called by: the image's entry point; gateway/__main__.py, which starts and ends as it does.
Owns: the process's exit code: 0 when the client has gone for good or it was told to stop, else 1.
Never: prints more than a line about itself.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine

from telepresence.agent.serve import CARRIER_PORT, SOCKS_PORT, Settings, serve
from telepresence.errors import TelepresenceError


def hexadecimal(size: int) -> "argparse._ActionType":
    def read(text: str) -> bytes:
        value = bytes.fromhex(text)
        if len(value) != size:
            raise ValueError
        return value

    read.__name__ = f"{size * 2} hexadecimal digits"
    return read


def _arguments(argv: list[str] | None) -> Settings:
    parser = argparse.ArgumentParser(
        prog="telepresence.agent", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "--session",
        type=hexadecimal(16),
        help="the session's id (default: a standing agent, of whoever comes, one after another)",
    )
    add(
        "--secret-sha256",
        type=hexadecimal(32),
        help="SHA-256 of the session's secret",
    )
    add("--carrier-port", type=int, default=CARRIER_PORT, help="default: %(default)s")
    add("--socks-port", type=int, default=SOCKS_PORT, help="default: %(default)s")
    add(
        "--first-client-timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="end when no client has come by then (default: %(default)s)",
    )
    add(
        "--resume-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="end when the client has been gone for so long (default: %(default)s)",
    )
    given = parser.parse_args(argv)
    if (given.session is None) != (given.secret_sha256 is None):
        parser.error("--session and --secret-sha256 go together")
    return Settings(
        session=given.session,
        secret_sha256=given.secret_sha256,
        carrier_port=given.carrier_port,
        socks_port=given.socks_port,
        first_client_timeout_s=given.first_client_timeout,
        resume_timeout_s=given.resume_timeout,
    )


def run(name: str, work: Coroutine[object, object, str]) -> int:
    """Until the work ends, with its reason as the last line under that name.  The exit code."""
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s")
    try:
        reason = asyncio.run(work)
    except (TelepresenceError, OSError) as exc:
        print(f"{name}: {exc}", file=sys.stderr, flush=True)
        return 1
    print(f"{name}: {reason}", file=sys.stderr, flush=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    return run("telepresence agent", serve(_arguments(argv)))


if __name__ == "__main__":
    sys.exit(main())
