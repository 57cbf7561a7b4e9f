"""How often the API server is asked, by its own audit log; and that nothing polls."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from laptop import lent
from rig import Telepresence
from roles import account
from workloads import apply, until_ready, workload

AUDIT = Path.home() / ".cache" / "telepresence-sandbox" / "run" / "logs" / "audit.log"
START_REQUESTS = 12
SWAP_REQUESTS = 20
QUIET_S = 3.0


@pytest.fixture(autouse=True)
def the_audit_log() -> None:
    if not AUDIT.exists():
        pytest.skip(f"{AUDIT} is not there: only the sandbox's API server tells its requests")


def requests_of(namespace: str) -> list[dict[str, Any]]:
    """Of the account of that namespace, each once.  A log that is full begins anew."""
    name = f"system:serviceaccount:{namespace}:user"
    found = {}
    for line in AUDIT.read_text().splitlines():
        if name in line and line.endswith("}"):
            event = json.loads(line)
            if event["user"]["username"] == name:
                found[event["auditID"]] = event
    return list(found.values())


def said(requests: list[dict[str, Any]]) -> list[str]:
    return [f"{event['verb']} {event['requestURI']}" for event in requests]


@pytest.mark.parametrize("method", ["inject-tcp", "vpn-tcp"])
def test_a_new_pod_takes_twelve_requests_and_then_silence(
    tmp_path: Path, namespace: str, method: str
) -> None:
    words = ("--namespace", namespace, "-n", "t-asks", "--expose", "8080", "--run", "sleep", "60")
    with lent(tmp_path, "-asks") as laptop:
        one = laptop if method == "vpn-tcp" else Telepresence(tmp_path)
        own = ("-m", method, "-n", "t-asks", "--expose", "8080")
        user = account(Telepresence(tmp_path), namespace, *own)
        with one.running("-m", method, *words, env=user):
            one.wait_log("stage: process started")
            start = said(requests_of(namespace))
            assert len(start) <= START_REQUESTS, "\n".join(start)
            time.sleep(QUIET_S)
            assert said(requests_of(namespace)) == start


def test_a_swap_renews_its_lease_and_asks_nothing_else(
    telepresence: Telepresence, namespace: str
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    user = account(telepresence, namespace, "-m", "inject-tcp", "-s", "web")
    words = ("-m", "inject-tcp", "--namespace", namespace, "-s", "web", "--run", "sleep", "60")
    with telepresence.running(*words, env=user):
        telepresence.wait_log("stage: process started")
        start = said(requests_of(namespace))
        assert len(start) <= SWAP_REQUESTS, "\n".join(start)
        time.sleep(QUIET_S)
        more = said(requests_of(namespace))[len(start) :]
        assert [request for request in more if "leases" not in request] == []
