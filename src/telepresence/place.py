"""Which pod and container the command is to be, and how it may listen there.

Called by: plan.py.
Owns: every refusal about workloads, containers and ports of the pod.
Never: touches the cluster.
"""

from dataclasses import dataclass
from typing import Any

from telepresence.errors import ClusterError, UsageError
from telepresence.exposed import PRIVILEGED_BELOW
from telepresence.target import container_of, runs_agent
from telepresence.values import Facts, Options, Port, Workload

# Kubernetes' own limit of 63 for what becomes a host name, less a dash and the session's start.
_NAME_CHARS, SESSION_CHARS = 50, 12
AGENT_PORTS = (9040, 9041, 9050)  # telepresence.agent's: carriers, readiness, SOCKS
READY_PORT = 9041
SYSCTL_SINCE = (1, 22)  # net.ipv4.ip_unprivileged_port_start is a safe sysctl
# Where the image has what the agent is made of: a volume there would hide it.
_AGENT_PLACES = ("/", "/opt", "/opt/telepresence", "/usr", "/usr/bin", "/usr/lib", "/lib", "/lib64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the command will be."""

    pod_name: str
    container: str
    swapped: Workload | None
    existing: Workload | None
    low_ports: str
    ready_when_listening: bool
    notes: tuple[str, ...] = ()


def find_place(options: Options, facts: Facts, expose: tuple[Port, ...], session: bytes) -> Place:
    """ClusterError, UsageError: there is no such place, or it is no good."""
    ports = tuple(port.pod for port in expose) + options.from_pod
    _refuse_ports(ports)
    workload = facts.workload
    if workload is None:
        start = session.hex()[:SESSION_CHARS]
        return Place(
            pod_name=options.new_deployment or f"telepresence-{start}",
            container="telepresence",
            swapped=None,
            existing=None,
            low_ports=_low_ports(ports, facts),
            ready_when_listening=_readiness(options, expose, default=False),
        )
    container = _container(options, workload)
    if options.deployment is not None:
        return _existing(options, facts, expose, workload, container)
    _refuse_volumes(workload, container)
    start = f"{workload.name[:_NAME_CHARS].rstrip('-.')}-{session.hex()[:SESSION_CHARS]}"
    return Place(
        pod_name=start,
        container=container["name"],
        swapped=workload,
        existing=None,
        low_ports=_low_ports(ports, facts),
        ready_when_listening=_readiness(options, expose, default=True),
    )


def _existing(
    options: Options,
    facts: Facts,
    expose: tuple[Port, ...],
    workload: Workload,
    container: dict[str, Any],
) -> Place:
    """A pod that runs the agent already, as it is: it may listen where its owner allowed it."""
    if options.serviceaccount is not None:
        raise UsageError(
            "--serviceaccount is for a pod that is made, and --deployment uses one as it is",
            hint="leave one of the two away",
        )
    if not runs_agent(container, options.image):
        raise UsageError(
            f"{workload} does not run the agent: the image of its container {container['name']} "
            f"is {container.get('image')}",
            hint="--swap-deployment takes its place; docs/operations.md has a workload for "
            "--deployment",
        )
    # Without the right to list them there are none, and the right is missed by its name.
    if not facts.pods and not facts.denied:
        raise ClusterError(
            f"{workload} in namespace {facts.namespace} has no pod that could be used",
            hint=f"it has {workload.replicas} replicas; 'kubectl -n {facts.namespace} get pods' "
            "may say more",
        )
    probe = container.get("readinessProbe", {}).get("httpGet", {}).get("port")
    note = (
        f"{workload} has {len(facts.pods)} pods, of which this session uses one; Services divide "
        "what is sent to them among all"
    )
    return Place(
        pod_name=next(iter(facts.pods), ""),
        container=container["name"],
        swapped=None,
        existing=workload,
        low_ports="",
        ready_when_listening=_readiness(options, expose, default=probe == READY_PORT),
        notes=(note,) if len(facts.pods) > 1 else (),
    )


def _container(options: Options, workload: Workload) -> dict[str, Any]:
    """The one whose place the command takes."""
    container = container_of(options, workload)
    containers = workload.template["spec"]["containers"]
    target = options.deployment or options.swap_deployment
    if container is None and target is not None and target.container is not None:
        raise UsageError(
            f"{workload} has no container {target.container}",
            hint=f"it has: {', '.join(other['name'] for other in containers)}",
        )
    if container is None:
        raise UsageError(
            f"{workload} does not run the agent: its images are "
            f"{', '.join(str(other.get('image')) for other in containers)}",
            hint="--swap-deployment takes its place; docs/operations.md has a workload for "
            "--deployment",
        )
    return container


def _refuse_volumes(workload: Workload, container: dict[str, Any]) -> None:
    for mount in container.get("volumeMounts", []):
        if (mount["mountPath"].rstrip("/") or "/") in _AGENT_PLACES:
            raise ClusterError(
                f"{workload} mounts volume {mount['name']} at {mount['mountPath']}, "
                "where the agent's own files are",
                hint="it cannot be swapped with this image; --new-deployment changes nothing of it",
            )


def _refuse_ports(ports: tuple[int, ...]) -> None:
    for number in ports:
        if number in AGENT_PORTS:
            raise UsageError(
                f"port {number} of the pod is the agent's own: it cannot be exposed",
                hint=f"those are {', '.join(map(str, AGENT_PORTS))}",
            )


def _low_ports(ports: tuple[int, ...], facts: Facts) -> str:
    """How the pod is allowed to listen below 1024."""
    low = [number for number in ports if number < PRIVILEGED_BELOW]
    if not low:
        return ""
    if facts.is_openshift:
        raise ClusterError(
            f"OpenShift does not support ports below 1024: {low[0]} cannot be exposed",
            hint=f"expose another, as in --expose {low[0]}:8080, and let the Service point there",
        )
    return "sysctl" if facts.server_version >= SYSCTL_SINCE else "root"


def _readiness(options: Options, expose: tuple[Port, ...], *, default: bool) -> bool:
    """Whether it follows who listens here, or in the container."""
    if not expose:
        return False
    return default if options.ready_when_listening is None else options.ready_when_listening
