"""status, restore and doctor: their words."""

import pytest

from telepresence import cli
from telepresence.errors import UsageError
from telepresence.values import Task


def test_a_task_has_its_place() -> None:
    bare = Task(name="restore", context=None, namespace=None, all=False)
    assert cli.parse_task(["restore"]) == bare
    assert cli.parse_task(["status", "--all", "--context", "e", "--namespace", "n"]) == Task(
        name="status", context="e", namespace="n", all=True
    )


@pytest.mark.parametrize("argv", [[], ["--run", "status"], ["rbac"], ["statu"]])
def test_other_words_are_a_sessions(argv: list[str]) -> None:
    assert cli.parse_task(argv) is None


def test_the_doctor_may_be_asked_about_one_method() -> None:
    assert cli.parse_task(["doctor", "-m", "inject-tcp", "--image", "a:b"]) == Task(
        name="doctor", context=None, namespace=None, method="inject-tcp", image="a:b"
    )


@pytest.mark.parametrize("argv", [
    ["status", "x"], ["restore", "--al"], ["restore", "-m", "x"], ["doctor", "--all"],
    ["doctor", "-m", "x"],
])  # fmt: skip
def test_misuse_is_refused(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        cli.parse_task(argv)
