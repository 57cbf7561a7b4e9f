"""Which ports of the pod lead to the laptop: the options and the container's own in, ports out.

Called by: plan.py and cluster/observe.py.
Owns: the rule that an explicit port wins over a declared one.
Never: looks at a port.
"""

from telepresence.target import container_of
from telepresence.values import Options, Port, Workload

PRIVILEGED_BELOW = 1024  # ip(7), ip_unprivileged_port_start


def exposed(options: Options, workload: Workload | None) -> tuple[Port, ...]:
    """Those asked for, then the TCP ports that the container declares."""
    container = container_of(options, workload) if workload is not None else None
    declared = [
        port["containerPort"]
        for port in (container or {}).get("ports", [])
        if port.get("protocol", "TCP") == "TCP"
    ]
    taken = {port.pod for port in options.expose} | set(options.from_pod)
    return options.expose + tuple(
        Port(laptop=number, pod=number, is_declared=True)
        for number in dict.fromkeys(declared)
        if number not in taken
    )
