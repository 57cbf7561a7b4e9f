"""The kinds of workload that can be swapped; a module each, found by being here.

Called by: cluster/observe.py and cluster/claim.py.
Owns: the order in which a bare name is looked up.
Never: changes a workload; cluster/claim.py does.
"""

import importlib
import pkgutil

from telepresence.cluster.api import Api, ApiError
from telepresence.cluster.workload.disturbers import hints
from telepresence.cluster.workload.kind import Kind
from telepresence.errors import ClusterError, UsageError
from telepresence.values import Target, Workload


def _kinds() -> tuple[Kind, ...]:
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    found = (getattr(module, "KIND", None) for module in modules)
    return tuple(sorted((kind for kind in found if kind is not None), key=lambda kind: kind.order))


KINDS = _kinds()


def kind_named(word: str) -> Kind:
    """UsageError: no such kind, or none that can be swapped."""
    for kind in KINDS:
        if word.lower() in (kind.name.lower(), kind.plural, kind.short):
            return kind
    raise UsageError(
        f"a {word} cannot be swapped",
        hint="what can: " + ", ".join(kind.name for kind in KINDS),
    )


async def find(api: Api, target: Target, *, is_swap: bool = True) -> Workload:
    """The workload of that name.  UsageError: there is none, or it cannot be swapped.
    ClusterError: it may not be read."""
    forbidden = []
    kinds = (kind_named(target.kind),) if target.kind else KINDS
    for kind in kinds:
        path = kind.path(api.namespace, target.name)
        try:
            found = await api.request("GET", path)
        except ApiError as exc:
            if exc.status == 403:
                forbidden.append(kind.plural)
            elif exc.status != 404:
                raise
            continue
        if is_swap:
            kind.refuse(found)
        return Workload(
            kind=kind.name,
            name=target.name,
            path=path,
            plural=kind.plural,
            group=kind.group,
            uid=found["metadata"]["uid"],
            version=found["metadata"]["resourceVersion"],
            replicas=kind.replicas(found),
            selector=kind.selector(found),
            template=kind.template(found),
            hints=await hints(api, kind, found) if is_swap else (),
        )
    names = " or ".join(kind.name for kind in kinds)
    hint = f"'kubectl -n {api.namespace} get {kinds[-1].plural}' lists them"
    if len(kinds) > 1:
        hint = f"'kubectl -n {api.namespace} get deployments,statefulsets,replicasets' lists them"
    if len(forbidden) == len(kinds):
        raise ClusterError(
            f"you may not get {', '.join(forbidden)} in namespace {api.namespace} of context "
            f"{api.context}",
            hint=f"ask for that; 'telepresence rbac' prints the Role for {target}",
        )
    raise UsageError(
        f"there is no {names} {target.name} in namespace {api.namespace} of context {api.context}",
        hint=hint,
    )
