"""Which container of a workload the command is to be: the options and a pod template in.

Called by: plan.py, exposed.py.
Owns: how the agent's image is known.
Never: asks the cluster.
"""

from typing import Any

from telepresence.values import Options, Workload

AGENT = "telepresence-agent"  # the image, in whatever registry


def runs_agent(container: dict[str, Any], image: str | None) -> bool:
    """By the name of its image, or because it is the one of --image."""
    name = str(container.get("image", ""))
    repository = name.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return repository == AGENT or name == image


def container_of(options: Options, workload: Workload) -> dict[str, Any] | None:
    """The named one; else the first, or of --deployment the first that runs the agent.

    None: there is none."""
    containers: list[dict[str, Any]] = workload.template["spec"]["containers"]
    target = options.deployment or options.swap_deployment
    if target is not None and target.container is not None:
        return next((c for c in containers if c["name"] == target.container), None)
    if options.deployment is not None:
        return next((c for c in containers if runs_agent(c, options.image)), None)
    return containers[0]
