"""Read from a pod's status why it will not run: a Pod in, a ClusterError or None out.

Called by: cluster/proxy.py, at every event of the watch.
Owns: nothing.
Never: asks the cluster; waits.

Reasons are those of kubelet (pkg/kubelet/images/types.go, container/sync_result.go) and of the
scheduler; the messages are theirs, so that a search finds them.
"""

from telepresence.cluster.api import Json
from telepresence.errors import ClusterError

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_IMAGE |= {"ImageInspectError", "RegistryUnavailable"}
_CONTAINER = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_CONTAINER |= {"CrashLoopBackOff", "PreCreateHookError", "PostStartHookError", "StartError"}


class Crashed(ClusterError):
    """A container ended; its last log lines say more."""

    def __init__(self, message: str, *, container: str) -> None:
        super().__init__(message)
        self.container = container


def bring_image(image: str) -> str:
    """How an image gets to a cluster that has none, in lines to copy."""
    return (
        f"bring the image to the cluster, with one of\n"
        f"  kind load docker-image {image}\n"
        f"  minikube image load {image}\n"
        f"  docker tag {image} YOUR-REGISTRY/{image} && docker push YOUR-REGISTRY/{image}\n"
        f"      and then telepresence --image YOUR-REGISTRY/{image} ..."
    )


def unschedulable(pod: Json) -> str | None:
    """What the scheduler says of a pod that it cannot place."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason"))
    return None


def waiting_for(pod: Json, agent: str) -> str:
    """What a pod on its way has not got yet, in words."""
    status = pod.get("status", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    if conditions.get("PodScheduled") != "True":
        return unschedulable(pod) or "no node has it yet"
    for container in status.get("initContainerStatuses", []):
        if "terminated" not in container["state"]:
            waiting = container["state"].get("waiting")
            does = (waiting.get("reason") or "waits") if waiting else "runs"
            return f"its init container {container['name']}: {does}"
    for container in status.get("containerStatuses", []):
        if container["name"] == agent and "waiting" in container["state"]:
            said = container["state"]["waiting"]
            words = said.get("message") or "the image may be on its way, or a volume"
            return f"container {agent}: {said.get('reason', 'waits')} ({words})"
    return "its node has not taken it up yet"


def _container_fault(name: str, status: Json) -> ClusterError | None:
    """Why a container does not start."""
    waiting = status["state"].get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _IMAGE:
        return ClusterError(
            f"pod {name}: the image {status['image']} cannot be pulled: {reason}: {message}",
            hint=bring_image(status["image"]),
        )
    if reason in _CONTAINER:
        return ClusterError(
            f"pod {name}: container {status['name']} does not start: {reason}: {message}",
            hint=f"'kubectl describe pod {name}' has the whole story",
        )
    return None


def _end(name: str, status: Json) -> ClusterError | None:
    ended = status["state"].get("terminated")
    if not ended:
        return None
    return Crashed(
        f"pod {name}: container {status['name']} ended with exit code {ended.get('exitCode')}"
        f" ({ended.get('reason') or 'ended'})",
        container=status["name"],
    )


def diagnose(pod: Json, agent: str) -> ClusterError | None:
    """Why the pod will not run, None as long as it may.  `agent` is the container that has to."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    first = status.get("initContainerStatuses", [])
    containers = status.get("containerStatuses", [])
    faults = [_container_fault(name, container) for container in (*first, *containers)]
    faults += [_end(name, container) for container in containers if container["name"] == agent]
    faults += [
        _end(name, container)
        for container in first
        if (container["state"].get("terminated") or {}).get("exitCode", 0) != 0
    ]
    for fault in faults:
        if fault is not None:
            return fault
    if status.get("phase") in ("Failed", "Succeeded"):
        return ClusterError(
            f"pod {name} ended: {status.get('reason', status['phase'])}: "
            f"{status.get('message', 'no message')}"
        )
    return None


def is_running(pod: Json, agent: str) -> bool:
    """The agent's container runs; what stands beside it has its own time."""
    status = pod.get("status", {})
    return any(
        container["name"] == agent and "running" in container["state"]
        for container in status.get("containerStatuses", [])
    )
