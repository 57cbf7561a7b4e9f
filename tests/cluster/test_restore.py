"""status and restore, from the same machine and from another."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from rig import Telepresence, kubectl
from workloads import apply, get, state, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")


@pytest.fixture
def web(namespace: str) -> str:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    return namespace


@pytest.fixture
def elsewhere(telepresence: Telepresence) -> Iterator[Telepresence]:
    """Another machine: other journals."""
    other = Telepresence(telepresence.directory / "elsewhere")
    other.directory.mkdir()
    yield other
    assert not other.journals()


def kill_both(telepresence: Telepresence, process: "subprocess.Popen[str]") -> None:
    said = telepresence.wait_log("the guard is process ")
    os.kill(int(said.split("guard is process ")[1].split()[0]), 9)
    process.kill()
    process.wait()


def test_a_live_session_is_told_and_left_alone(
    telepresence: Telepresence, elsewhere: Telepresence, web: str
) -> None:
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sleep", "60")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        here = telepresence("status", "--namespace", web)
        (first, mine, lease) = here.out.splitlines()
        assert first.split() == ["WHAT", "WHERE", "SINCE", "WHO", "STATE"]
        assert mine.startswith("Deployment web")
        assert "this machine" in mine
        assert mine.endswith("live")
        assert lease.startswith("Deployment web")
        assert lease.endswith("live")
        assert "@" in elsewhere("status", "--namespace", web).out.splitlines()[1]
        for one in (telepresence, elsewhere):
            done = one("restore", "--namespace", web)
            assert (done.code, done.said) == (0, []), done.err
        assert process.poll() is None
        assert get(web, "deployment/web")["spec"]["replicas"] == 0


def test_the_same_machine_restores_at_once(telepresence: Telepresence, web: str) -> None:
    before = state(web)
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sleep", "60")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        kill_both(telepresence, process)
        assert "dead: telepresence restore" in telepresence("status", "--namespace", web).out
        done = telepresence("restore", "--namespace", web)
        assert (done.code, done.said) == (0, ["T: a session of this machine: Deployment web"])
    until_state(web, before)


def test_another_machine_restores_when_the_lease_has_ended(
    telepresence: Telepresence, elsewhere: Telepresence, web: str
) -> None:
    before = state(web)
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sleep", "60")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        kill_both(telepresence, process)
        assert elsewhere("restore", "--namespace", web).said == []
        past = {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}}
        kubectl("patch", "-n", web, "lease/telepresence-deployment-web", "--type=merge",
                "-p", json.dumps(past))  # fmt: skip
        done = elsewhere("restore", "--namespace", web)
        assert done.code == 0, done.err
        assert "restored: Deployment web" in done.said[0]
        until_state(web, before)
        telepresence("restore", "--namespace", web)  # what is left on the first machine
    assert not telepresence.journals()


def test_a_workload_whose_lease_is_gone_is_found_by_its_label(
    elsewhere: Telepresence, web: str
) -> None:
    before = state(web)
    kubectl("label", "-n", web, "deployment/web", "telepresence=00ff", "telepresence.io/replicas=1")
    kubectl("scale", "-n", web, "deployment/web", "--replicas=0")
    done = elsewhere("restore", "--namespace", web)
    assert done.said == [f"T: restored: Deployment web in namespace {web}"]
    until_state(web, before)
