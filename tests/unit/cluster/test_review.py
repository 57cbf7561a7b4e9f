"""Which rights the user has: what the list of rules shows, and what is asked beside it."""

import asyncio
from typing import Any

import pytest

from telepresence.cluster.api import ApiError
from telepresence.cluster.review import denied, is_listed
from telepresence.values import Right

PODS = Right(verb="create", resource="pods")
LOG = Right(verb="get", resource="pods/log")
APPS = Right(verb="patch", resource="deployments", group="apps")


def rule(verbs: str, groups: str, resources: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {"verbs": verbs.split(), "apiGroups": groups.split(","), "resources": resources.split()}
    return {**found, "resourceNames": list(names)} if names else found


@pytest.mark.parametrize(
    ("right", "given", "listed"),
    [
        (PODS, rule("create get", "", "pods"), True),
        (PODS, rule("*", "*", "*"), True),
        (PODS, rule("get", "", "pods"), False),
        (PODS, rule("create", "apps", "pods"), False),
        (PODS, rule("create", "", "pods", ("one",)), False),
        (LOG, rule("get", "", "pods"), False),
        (LOG, rule("get", "", "pods/log"), True),
        (LOG, rule("get", "", "*/log"), True),
        (LOG, rule("get", "", "*"), True),
        (APPS, rule("patch", ",apps", "deployments"), True),
    ],
)
def test_a_rule_is_read_as_rbac_reads_it(right: Right, given: Any, listed: bool) -> None:
    assert is_listed(right, [given]) == listed


class Server:
    """An Api that lists some rules, or none, and allows what is in `allowed`."""

    namespace = "prod"

    def __init__(self, rules: Any, *allowed: str) -> None:
        self.rules, self.allowed = rules, allowed
        self.asked: list[str] = []

    async def request(self, _: str, path: str, body: Any) -> Any:
        if path.endswith("rulesreviews"):
            assert body["spec"] == {"namespace": "prod"}
            if self.rules is None:
                raise ApiError("no such thing", status=404, reason="NotFound")
            return {"status": {"resourceRules": self.rules, "incomplete": True}}
        wanted = body["spec"]["resourceAttributes"]
        self.asked.append(wanted["resource"])
        return {"status": {"allowed": wanted["resource"] in self.allowed}}


@pytest.mark.parametrize(
    ("server", "asked", "missing"),
    [
        (Server([rule("*", "*", "*")]), 0, ()),
        (Server([rule("create", "", "pods")], "deployments"), 2, (LOG,)),
        (Server(None, "pods"), 3, (APPS,)),
        (Server([]), 3, (PODS, LOG, APPS)),
    ],
)
def test_what_is_not_listed_is_asked(
    server: Server, asked: int, missing: tuple[Right, ...]
) -> None:
    found = asyncio.run(denied(server, (PODS, LOG, APPS)))  # type: ignore[arg-type] # all it asks
    assert found == missing
    assert len(server.asked) == asked
