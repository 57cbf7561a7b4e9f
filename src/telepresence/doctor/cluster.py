"""Look at the cluster: whether it answers, what the user may do there, and the agent's image.

Called by: report.py.
Owns: the connection to the API server, until it has looked.
Never: creates anything but the reviews that tell what one may.
"""

import contextlib

from telepresence.cluster import api, review
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.observe import kubectl
from telepresence.cluster.ranges import node_addresses, server_addresses
from telepresence.doctor.finding import EVERY, Finding
from telepresence.errors import ClusterError
from telepresence.method.vpn import routes
from telepresence.nearby import why_near
from telepresence.rights import POD, rules


async def _client(connection: Api) -> Finding:
    if await connection.access() is not None:
        return Finding(EVERY, f"the API server {connection.server} is reached directly")
    if await kubectl(connection) is not None:
        return Finding(EVERY, "connections go through kubectl or oc, as a proxy is in between")
    todo = "install the one that your cluster's documentation names"
    return Finding(EVERY, "the API server is behind a proxy, which takes kubectl or oc", todo)


async def _rights(connection: Api) -> Finding:
    where = f"namespace {connection.namespace} of context {connection.context}"
    denied = await review.denied(connection, POD)
    if not denied:
        return Finding(EVERY, f"you may all that a new pod takes in {where}")
    missing = ", ".join(map(str, denied))
    needed = " ".join(rules(tuple(denied)).split())
    return Finding(EVERY, f"you may not {missing} in {where}", f"ask for a Role with {needed}")


def judge_image(image: str, nodes: list[Json]) -> Finding:
    """By what the nodes say that they have."""
    ends = (image, "/" + image)
    having = [
        node
        for node in nodes
        if any(
            name.endswith(ends)
            for each in node.get("status", {}).get("images", [])
            for name in each.get("names") or []
        )
    ]
    if having:
        return Finding(EVERY, f"the image {image} is on {len(having)} of {len(nodes)} nodes")
    todo = "bring it there, or into a registry that --image names: docs/install.md"
    known = Finding(EVERY, f"no node has the image {image} yet", todo, is_limit=True)
    return known if nodes else Finding(EVERY, f"which images nodes have may not be seen ({image})")


async def _image(connection: Api, image: str) -> Finding:
    nodes: list[Json] = []
    with contextlib.suppress(ApiError):
        nodes = (await connection.request("GET", "/api/v1/nodes"))["items"]
    return judge_image(image, nodes)


async def _place(connection: Api) -> Finding:
    devices = await routes.observe_routes()
    servers = await server_addresses(connection.server)
    nodes = await node_addresses(connection)
    near = why_near(connection.context, servers, nodes,
                    device=lambda address: routes.device_of(address, devices))  # fmt: skip
    if near:
        return Finding("vpn-tcp", f"the cluster is on this machine: {near}")
    return Finding("vpn-tcp", "the cluster is on other machines")


async def findings(context: str | None, namespace: str | None, image: str) -> list[Finding]:
    try:
        connection = await api.connect(context, namespace)
    except ClusterError as exc:
        return [Finding(EVERY, str(exc), exc.hint or "name a cluster by KUBECONFIG or --context")]
    try:
        return [
            await _client(connection),
            await _rights(connection),
            await _image(connection, image),
            await _place(connection),
        ]
    except ClusterError as exc:
        return [Finding(EVERY, str(exc), exc.hint or "does kubectl get pods work?")]
    finally:
        await connection.close()
