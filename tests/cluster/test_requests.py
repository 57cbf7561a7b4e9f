"""How often the API server is asked, by its own audit log; and that nothing polls."""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine_rig import BASE, RUN
from laptop import lent
from rig import Telepresence
from roles import account
from workloads import apply, until, until_ready, workload

AUDIT = Path.home() / ".cache" / "telepresence-sandbox" / "run" / "logs" / "audit.log"
START_REQUESTS = 12
SWAP_REQUESTS = 20
QUIET_S = 3.0
SLEEP = ("--run", "sleep", "60")


@pytest.fixture(autouse=True)
def the_audit_log() -> None:
    if not AUDIT.exists():
        pytest.skip(f"{AUDIT} is not there: only the sandbox's API server tells its requests")


def requests_of(namespace: str) -> list[tuple[datetime, str]]:
    """Of the account of that namespace, when each came; known when they are answered to the end."""
    name = f"system:serviceaccount:{namespace}:user"
    found = {}
    for line in AUDIT.read_text().splitlines():
        if name in line and line.endswith("}"):
            event = json.loads(line)
            if event["user"]["username"] == name:
                at = datetime.fromisoformat(event["requestReceivedTimestamp"])
                found[event["auditID"]] = at, f"{event['verb']} {event['requestURI']}"
    return sorted(found.values())


def started_and_quiet(
    namespace: str, session: AbstractContextManager[object]
) -> tuple[list[str], list[str]]:
    """What a session asks until its process has started, and in QUIET_S after that.

    This machine's clock is the API server's.  A watch is in the log when it has ended."""
    with session:
        began = datetime.now(UTC)
        time.sleep(QUIET_S)
        ended = datetime.now(UTC)
    seen: list[tuple[datetime, str]] = []

    def is_whole() -> bool:
        seen[:] = requests_of(namespace)
        return any("watch=true" in said for _, said in seen)

    until(is_whole, 20)
    return [said for at, said in seen if at <= began], [
        said for at, said in seen if began < at <= ended
    ]


@contextmanager
def started(method: str, tmp_path: Path, *words: str, env: dict[str, str]) -> Iterator[None]:
    """A session of that method, while its process runs."""
    if method == "vpn-tcp":
        with lent(tmp_path, "-asks") as laptop, laptop.running(*words, *SLEEP, env=env):
            laptop.wait_log("stage: process started")
            yield
        return
    own = (*RUN, BASE, *SLEEP[1:]) if method == "container" else ("-m", method, *SLEEP)
    one = Telepresence(tmp_path)
    with one.running(*words, *own, env=env):
        one.wait_log("stage: process started")
        yield


@pytest.mark.usefixtures("engine")  # of the last
@pytest.mark.parametrize("method", ["inject-tcp", "vpn-tcp", "container"])
def test_a_new_pod_takes_twelve_requests_and_then_silence(
    tmp_path: Path, namespace: str, method: str
) -> None:
    """All are counted: questions about rights, refusals, watches and the carrier."""
    words = ("-n", "t-asks", "--expose", "8080")
    run = ("--run", "x") if method != "container" else ("--docker-run", "x")
    user = account(Telepresence(tmp_path), namespace, "-m", method, *words, *run)
    session = started(method, tmp_path, "--namespace", namespace, *words, env=user)
    start, more = started_and_quiet(namespace, session)
    # A pod without a probe is ready before its agent listens: a carrier that comes too soon is
    # asked for again.
    again = (tmp_path / "telepresence.log").read_text().count("no carrier to pod t-asks")
    assert len(start) - again <= START_REQUESTS, "\n".join(start)
    assert sum("/portforward" in said for said in start) == 1 + again, "\n".join(start)
    for needed in ("selfsubjectrulesreviews", "watch=true"):
        assert sum(needed in said for said in start) == 1, "\n".join(start)
    assert more == []


def test_a_swap_renews_its_lease_and_asks_nothing_else(
    telepresence: Telepresence, namespace: str
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    user = account(telepresence, namespace, "-m", "inject-tcp", "-s", "web")
    session = started(
        "inject-tcp", telepresence.directory, "--namespace", namespace, "-s", "web", env=user
    )
    start, more = started_and_quiet(namespace, session)
    assert len(start) <= SWAP_REQUESTS, "\n".join(start)
    assert [said for said in more if "leases" not in said] == []
