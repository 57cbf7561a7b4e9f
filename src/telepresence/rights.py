"""What a session needs to be allowed to do, and the Role that allows it.

Called by: cluster/observe.py, plan.py and the command `telepresence rbac`.
Owns: the list of rights of each operation.
Never: asks the cluster.
"""

from telepresence.values import Options, Right, Workload

POD = (
    Right(verb="create", resource="pods"),
    Right(verb="get", resource="pods"),
    Right(verb="list", resource="pods"),
    Right(verb="watch", resource="pods"),
    Right(verb="delete", resource="pods"),
    Right(verb="get", resource="pods/log"),
    Right(verb="create", resource="pods/portforward"),
)
_USED = tuple(right for right in POD if (right.verb, right.resource) not in
              {("create", "pods"), ("delete", "pods")})  # fmt: skip
_SERVICE = tuple(Right(verb=verb, resource="services") for verb in ("create", "get", "delete"))
_LEASES = tuple(
    Right(verb=verb, resource="leases", group="coordination.k8s.io")
    for verb in ("create", "get", "patch", "delete")
)


def _of_workload(plural: str, group: str) -> tuple[Right, ...]:
    return tuple(Right(verb=v, resource=plural, group=group) for v in ("get", "watch", "patch"))


def rights(options: Options, workload: Workload | None) -> tuple[Right, ...]:
    """All that a session with these options asks the API for, in the namespace."""
    if options.deployment is not None:
        plural, group = ("deployments", "apps") if workload is None else (
            workload.plural, workload.group
        )  # fmt: skip
        return (*_USED, Right(verb="get", resource=plural, group=group))
    if workload is None:
        return (*POD, *_SERVICE) if options.expose else POD
    return (*POD, *_LEASES, *_of_workload(workload.plural, workload.group))


# Kubernetes 1.35 asks for `create` where older ones ask for `get`, of a WebSocket.
_EXEC = tuple(Right(verb=verb, resource="pods/exec") for verb in ("get", "create"))


def wishes(options: Options) -> tuple[Right, ...]:
    """What tells vpn-tcp the Services' range where nothing else does: a refused creation names it.
    And what an image defines is read in a pod that runs it.

    Nobody is turned away for want of these."""
    ranges = (Right(verb="create", resource="services"),) if options.method == "vpn-tcp" else ()
    has_image = options.swap_deployment is not None and not options.is_container
    return (*ranges, *(_EXEC if has_image else ()))


def rules(needed: tuple[Right, ...]) -> str:
    """The rules of a Role, as YAML."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in needed:
        verbs.setdefault((right.group, right.resource), []).append(right.verb)
    return "\n".join(
        f'  - {{apiGroups: ["{group}"], resources: ["{resource}"], verbs: {said}}}'.replace(
            "'", '"'
        )
        for (group, resource), said in verbs.items()
    )
