"""Which pod the command is to be, and what of it is refused."""

import dataclasses
from typing import Any

import pytest

from telepresence import cli
from telepresence.errors import ClusterError, UsageError
from telepresence.exposed import exposed
from telepresence.place import Place, find_place
from telepresence.rights import rights
from telepresence.values import Facts, Workload
from test_plan import FACTS

AGENT: dict[str, Any] = {"name": "agent", "image": "telepresence-agent:1",
                         "ports": [{"containerPort": 80}]}  # fmt: skip


def workload(*containers: dict[str, Any]) -> Workload:
    return Workload(
        kind="Deployment", name="web", path="/x", plural="deployments", group="apps", uid="",
        version="", replicas=0, selector="", template={"spec": {"containers": list(containers)}},
    )  # fmt: skip


def facts(*containers: dict[str, Any], pods: tuple[str, ...] = ("web-1",)) -> Facts:
    return dataclasses.replace(FACTS, workload=workload(*containers), pods=pods)


def place(argv: list[str], seen: Facts) -> Place:
    options = cli.parse(argv)
    return find_place(options, seen, exposed(options, seen.workload), bytes(range(16)))


def test_a_pod_that_runs_the_agent_is_used_as_it_is() -> None:
    found = place(["-d", "web"], facts({"name": "app", "image": "nginx"}, AGENT))
    assert (found.pod_name, found.container) == ("web-1", "agent")
    assert found.existing is not None
    assert (found.swapped, found.low_ports, found.notes) == (None, "", ())
    assert not found.ready_when_listening


def test_a_used_pod_is_ready_by_whoever_listens_if_its_probe_asks_the_agent() -> None:
    probed = {**AGENT, "readinessProbe": {"httpGet": {"port": 9041}}}
    assert place(["-d", "web"], facts(probed)).ready_when_listening
    assert not place(["-d", "web", "--no-ready-when-listening"], facts(probed)).ready_when_listening


def test_of_several_pods_one_is_used_and_that_is_said() -> None:
    found = place(["-d", "web"], facts(AGENT, pods=("web-1", "web-2")))
    assert found.pod_name == "web-1"
    assert "has 2 pods, of which this session uses one" in found.notes[0]


@pytest.mark.parametrize(
    ("argv", "seen", "said"),
    [
        (["-d", "web"], facts({"name": "app", "image": "nginx"}), "its images are nginx"),
        (["-d", "web:app"], facts({"name": "app", "image": "nginx"}, AGENT),
         "does not run the agent: the image of its container app is nginx"),
        (["-d", "web:x"], facts(AGENT), "Deployment web has no container x"),
        (["-s", "web:x"], facts(AGENT), "Deployment web has no container x"),
    ],
)  # fmt: skip
def test_a_workload_that_will_not_do(argv: list[str], seen: Facts, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        place(argv, seen)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_workload_without_a_pod() -> None:
    with pytest.raises(ClusterError, match="has no pod that could be used") as caught:
        place(["-d", "web"], facts(AGENT, pods=()))
    assert "it has 0 replicas" in caught.value.hint


def test_a_service_account_cannot_be_given_to_a_pod_that_is_there() -> None:
    with pytest.raises(UsageError, match="--serviceaccount is for a pod that is made"):
        place(["-d", "web", "--serviceaccount", "x"], facts(AGENT))


def test_a_pod_that_may_not_be_listed_is_left_to_the_refusal_of_rights() -> None:
    options = cli.parse(["-d", "web"])
    denied = rights(options, None)[:1]
    seen = dataclasses.replace(facts(AGENT, pods=()), denied=denied)
    assert place(["-d", "web"], seen).pod_name == ""
