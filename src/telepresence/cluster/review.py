"""Ask the API server what the user may do, before anything is done.

Called by: cluster/observe.py.
Owns: nothing.
Never: takes the list of rules as a refusal: authorizers other than RBAC need not list theirs.
"""

import asyncio
from typing import Any

from telepresence.cluster.api import Api, ApiError, Json
from telepresence.values import Right

# Kubernetes, "Authorization overview": every user may ask these about themselves.
_REVIEWS = "/apis/authorization.k8s.io/v1"


async def _listed(api: Api) -> list[Json]:
    """What one request tells of all rights; they may be more."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": api.namespace},
    }
    try:
        answer = await api.request("POST", f"{_REVIEWS}/selfsubjectrulesreviews", body)
    except ApiError:
        return []
    rules: list[Json] = answer["status"].get("resourceRules") or []
    return rules


def is_listed(right: Right, rules: list[Json]) -> bool:
    """Whether a rule allows it for every name.  Kubernetes, "RBAC", "Referring to resources"."""
    subresource = right.resource.partition("/")[2]
    resources = {right.resource, "*"} | ({f"*/{subresource}"} if subresource else set())

    def fits(words: Any, wanted: set[str]) -> bool:
        return bool(wanted & set(words or ()))

    return any(
        fits(rule.get("verbs"), {right.verb, "*"})
        and fits(rule.get("apiGroups"), {right.group, "*"})
        and fits(rule.get("resources"), resources)
        and not rule.get("resourceNames")
        for rule in rules
    )


async def _is_allowed(api: Api, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"namespace": api.namespace, "verb": right.verb, "resource": resource}
    attributes["group"] = right.group
    if subresource:
        attributes["subresource"] = subresource
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.request("POST", f"{_REVIEWS}/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


async def denied(api: Api, needed: tuple[Right, ...]) -> tuple[Right, ...]:
    """Those that the user has not: what the list does not show is asked one by one."""
    rules = await _listed(api)
    open_questions = [right for right in needed if not is_listed(right, rules)]
    allowed = await asyncio.gather(*(_is_allowed(api, right) for right in open_questions))
    return tuple(right for right, may in zip(open_questions, allowed, strict=True) if not may)
