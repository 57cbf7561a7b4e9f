"""What each operation needs, and the Role that allows it."""

import yaml

from telepresence import cli
from telepresence.rights import rights, rules, wishes
from telepresence.values import Workload

WORKLOAD = Workload(
    kind="StatefulSet", name="db", path="", plural="statefulsets", group="apps", uid="", version="",
    replicas=1, selector="", template={},
)  # fmt: skip


def test_a_new_deployment_needs_nothing_but_pods() -> None:
    with_service = rights(cli.parse(["--expose", "80"]), None)
    assert {right.resource for right in with_service} >= {"pods", "services"}
    assert {right.resource.partition("/")[0] for right in rights(cli.parse([]), None)} == {"pods"}


def test_a_swap_needs_its_own_kind_and_leases_too() -> None:
    needed = rights(cli.parse(["-s", "db"]), WORKLOAD)
    of_others = {(r.group, r.resource) for r in needed if not r.resource.startswith("pods")}
    assert of_others == {("apps", "statefulsets"), ("coordination.k8s.io", "leases")}


def test_a_pod_that_is_there_is_neither_made_nor_deleted() -> None:
    needed = rights(cli.parse(["-d", "db"]), WORKLOAD)
    assert ("get", "statefulsets") in {(right.verb, right.resource) for right in needed}
    assert {right.verb for right in needed} == {"get", "list", "watch", "create"}
    (made,) = (right.resource for right in needed if right.verb == "create")
    assert made == "pods/portforward"


def test_the_rules_are_yaml_and_say_all_that_is_needed() -> None:
    needed = rights(cli.parse(["-s", "db"]), WORKLOAD)
    written = yaml.safe_load(rules(needed))
    said = {
        (group, resource, verb)
        for rule in written
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert said == {(right.group, right.resource, right.verb) for right in needed}


def test_only_vpn_tcp_wishes_to_be_told_the_services_range() -> None:
    said = [wishes(cli.parse(["-m", method])) for method in ("inject-tcp", "vpn-tcp")]
    assert [list(map(str, each)) for each in said] == [[], ["create services"]]


def test_reading_an_images_variables_is_wished_for_by_a_swap_alone() -> None:
    swap = ["-m", "inject-tcp", "-s", "web"]
    assert list(map(str, wishes(cli.parse(swap)))) == ["get pods/exec", "create pods/exec"]
    for other in (["-m", "inject-tcp", "-d", "web"], ["-s", "web", "--docker-run", "image"]):
        assert "pods/exec" not in str(wishes(cli.parse(other)))
    needed = rights(cli.parse(swap), WORKLOAD)
    assert "pods/exec" not in {right.resource for right in needed}
