"""The Service of a new pod: its name in the cluster, as long as ports of it are exposed.

Called by: session.
Owns: the Service, until the context ends.
Never: takes over one that exists.
"""

from telepresence.cluster import giveback
from telepresence.cluster.api import Api, ApiError
from telepresence.cluster.manifest import service
from telepresence.errors import ClusterError
from telepresence.values import Plan


class ProxyService:
    """async with ProxyService(api, plan): ..."""

    def __init__(self, api: Api, plan: Plan) -> None:
        self._api, self._plan = api, plan
        self._services = f"/api/v1/namespaces/{plan.namespace}/services"
        self.path = f"{self._services}/{plan.pod_name}"

    async def __aenter__(self) -> None:
        try:
            await self._api.request("POST", self._services, service(self._plan))
        except ApiError as exc:
            if exc.reason == "AlreadyExists":
                raise ClusterError(
                    f"a service {self._plan.pod_name} exists already in namespace "
                    f"{self._plan.namespace}",
                    hint="choose another name with --new-deployment, or --swap-deployment to take "
                    "the place of what is behind it",
                ) from exc
            raise ClusterError(
                f"the cluster refuses service {self._plan.pod_name}: {exc}",
                hint="a Service's name begins with a letter",
            ) from exc

    async def __aexit__(self, *_: object) -> None:
        await giveback.remove(self._api, self.path, self._plan.session.hex())
