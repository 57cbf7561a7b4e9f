"""The Role that is printed is one that can be applied, and has what the session asks for."""

import pytest
import yaml

from telepresence import cli
from telepresence.rights import rights, wishes
from telepresence.tasks import rbac


@pytest.mark.parametrize(
    ("words", "resource"),
    [
        ([], "pods"),
        (["-s", "web"], "deployments"),
        (["-s", "sts/web"], "statefulsets"),
        (["-s", "dc/web"], "deploymentconfigs"),
        (["--expose", "80"], "services"),
        (["--namespace", "prod"], "pods/portforward"),
    ],
)
def test_a_role_for_each_operation(
    words: list[str], resource: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rbac(cli.parse(words)) == 0
    role, binding = yaml.safe_load_all(capsys.readouterr().out)
    assert (role["kind"], binding["kind"]) == ("Role", "RoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert role["metadata"].get("namespace") == ("prod" if "prod" in words else None)
    assert resource in {name for rule in role["rules"] for name in rule["resources"]}


def test_a_new_deployments_role_is_its_rights_and_no_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rbac(cli.parse([]))
    role, _ = yaml.safe_load_all(capsys.readouterr().out)
    verbs = sum(len(rule["verbs"]) * len(rule["resources"]) for rule in role["rules"])
    assert verbs == len(rights(cli.parse([]), None)) + len(wishes(cli.parse([])))
