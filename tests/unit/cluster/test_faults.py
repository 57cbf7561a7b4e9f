"""Why a pod will not run, read from statuses as kubelet and scheduler write them."""

import pytest

from telepresence.cluster.api import Json
from telepresence.cluster.faults import Crashed, diagnose, is_running, unschedulable, waiting_for
from telepresence.errors import ClusterError


def pod(state: Json | None = None, **status: object) -> Json:
    statuses = []
    if state is not None:
        ready = status.pop("ready", False)
        statuses = [{"name": "main", "image": "agent:1", "state": state, "ready": ready}]
    return {"metadata": {"name": "p"}, "status": {**status, "containerStatuses": statuses}}


SCHEDULED = [{"type": "PodScheduled", "status": "True"}]


def fault(seen: Json) -> ClusterError:
    found = diagnose(seen, "main")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "seen",
    [
        {"metadata": {"name": "p"}},
        {"metadata": {"name": "p"}, "status": {"phase": "Pending"}},
        pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending"),
        pod({"waiting": {"reason": "PodInitializing"}}, phase="Pending"),
        pod({"waiting": {}}, phase="Pending"),
    ],
)
def test_a_pod_on_its_way_has_no_fault_and_does_not_run(seen: Json) -> None:
    assert diagnose(seen, "main") is None
    assert not is_running(seen, "main")


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
        "ImageInspectError", "RegistryUnavailable",
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_pulled_comes_with_ways_to_bring_it(reason: str) -> None:
    found = fault(pod({"waiting": {"reason": reason, "message": "not found"}}, phase="Pending"))
    assert str(found) == f"pod p: the image agent:1 cannot be pulled: {reason}: not found"
    assert "kind load docker-image agent:1" in found.hint
    assert "--image YOUR-REGISTRY/agent:1" in found.hint


@pytest.mark.parametrize(
    "reason",
    [
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
        "CrashLoopBackOff", "PreCreateHookError", "PostStartHookError", "StartError",
    ],
)  # fmt: skip
def test_a_container_that_does_not_start_is_named_with_kubelets_words(reason: str) -> None:
    found = fault(pod({"waiting": {"reason": reason, "message": "no such user"}}))
    assert str(found) == f"pod p: container main does not start: {reason}: no such user"
    assert "kubectl describe pod p" in found.hint


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"exitCode": 1, "reason": "Error"}, "exit code 1 (Error)"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "exit code 137 (OOMKilled)"),
        ({"exitCode": 0}, "exit code 0 (ended)"),
    ],
)
def test_a_container_that_ended_has_crashed_with_its_code(ended: Json, said: str) -> None:
    found = fault(pod({"terminated": ended}, phase="Failed"))
    assert isinstance(found, Crashed)
    assert said in str(found)


def test_an_eviction_is_told_in_its_own_words() -> None:
    found = fault(pod(None, phase="Failed", reason="Evicted", message="low on memory"))
    assert str(found) == "pod p ended: Evicted: low on memory"
    assert str(fault(pod(None, phase="Succeeded"))) == "pod p ended: Succeeded: no message"


def test_what_counts_is_the_agents_container() -> None:
    seen = pod({"running": {}}, phase="Running")
    more = {"name": "sidecar", "image": "x", "state": {"terminated": {"exitCode": 3}}}
    seen["status"]["containerStatuses"].append(more)
    assert diagnose(seen, "main") is None
    assert is_running(seen, "main")
    assert not is_running(seen, "sidecar")


def test_what_stands_beside_the_agent_has_to_start_too() -> None:
    seen = pod({"waiting": {"reason": "PodInitializing"}}, phase="Pending")
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no"}}
    seen["status"]["initContainerStatuses"] = [{"name": "i", "image": "x:1", "state": waiting}]
    assert "image x:1 cannot be pulled" in str(fault(seen))
    seen["status"]["initContainerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
    assert diagnose(seen, "main") is None
    seen["status"]["initContainerStatuses"][0]["state"] = {"terminated": {"exitCode": 4}}
    found = fault(seen)
    assert isinstance(found, Crashed)
    assert found.container == "i"


def test_a_scheduler_that_finds_no_room_is_quoted() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    assert unschedulable(pod(None, conditions=[condition])) == "Unschedulable"
    condition["message"] = "0/3 nodes are available"
    assert unschedulable(pod(None, conditions=[condition])) == "0/3 nodes are available"
    placed = {"type": "PodScheduled", "status": "True"}
    assert unschedulable(pod(None, conditions=[placed])) is None
    assert unschedulable({"metadata": {"name": "p"}}) is None


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (pod(), "no node has it yet"),
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]),
         "0/1 nodes"),
        (pod(conditions=SCHEDULED), "its node has not taken it up yet"),
        (pod({"waiting": {"reason": "ContainerCreating"}}, conditions=SCHEDULED),
         "container main: ContainerCreating (the image may be on its way, or a volume)"),
        (pod(conditions=SCHEDULED,
             initContainerStatuses=[{"name": "one", "state": {"terminated": {}}},
                                    {"name": "two", "state": {"running": {}}}]),
         "its init container two: runs"),
    ],
)  # fmt: skip
def test_what_a_pod_waits_for_is_told(seen: Json, told: str) -> None:
    assert waiting_for(seen, "main") == told
