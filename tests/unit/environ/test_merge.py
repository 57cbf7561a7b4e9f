"""Whose value a variable has."""

import dataclasses
from pathlib import Path

import pytest

from telepresence.environ.merge import KEPT, is_the_pods, make_environment
from telepresence.values import Endpoints, MountPoint, Plan, Pod

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "environment.md"
POD = Pod(name="p-1", namespace="prod", container="main")
PLAN = Plan(
    context="east",
    namespace="prod",
    kubectl="/usr/bin/kubectl",
    pod_name="p-1",
    image="agent:1",
    session=bytes(16),
    secret=bytes(32),
    method="inject-tcp",
    shim=Path("/opt/shim.so"),
    program="/bin/sh",
    argv=("sh",),
    is_shell=False,
    environ={"PATH": "/bin", "LAPTOP": "\udcff", "BOTH": "laptop"},
)
WHO = {
    b"TELEPRESENCE_POD": b"p-1",
    b"TELEPRESENCE_CONTAINER": b"main",
    b"TELEPRESENCE_METHOD": b"inject-tcp",
    b"TELEPRESENCE_MOUNTS": b"",
}


@pytest.mark.parametrize("name", ["PATH", "HOME", "HOSTNAME", "LD_LIBRARY_PATH", "PYTHONHOME"])
def test_what_makes_the_laptops_programs_work_stays_the_laptops(name: str) -> None:
    plan = dataclasses.replace(PLAN, environ={name: "laptop"})
    made = make_environment(plan, POD, Endpoints(environ={name.encode(): b"pod"}))
    assert made.process == {name.encode(): b"laptop"} | WHO
    assert made.pod == WHO


def test_all_else_is_the_pods_and_bytes_are_kept() -> None:
    pod = {b"BOTH": b"pod", b"POD": b"\xfe\n=", b"EMPTY": b"", b"ODD.name-\xff": b"1"}
    made = make_environment(PLAN, POD, Endpoints(environ=pod))
    assert made.pod == pod | WHO
    assert made.process == {b"PATH": b"/bin", b"LAPTOP": b"\xff"} | pod | WHO


def test_a_megabyte_is_taken_whole() -> None:
    pod = {b"BIG_%d" % number: b"x" * 100_000 for number in range(11)}
    assert make_environment(PLAN, POD, Endpoints(environ=pod)).process.items() >= pod.items()


@pytest.mark.parametrize(
    ("name", "include", "exclude", "pods"),
    [
        ("ANY", (), (), True),
        ("JAVA_HOME", (), (), False),
        ("JAVA_HOME", ("JAVA_*",), (), True),
        ("JAVA_HOME", ("java_*",), (), False),
        ("SECRET_A", (), ("SECRET_?",), False),
        ("SECRET_AB", (), ("SECRET_?",), True),
        ("LD_X", ("LD_*",), ("*_X",), False),
    ],
)
def test_exclude_is_stronger_than_include_and_that_than_the_list(
    name: str, include: tuple[str, ...], exclude: tuple[str, ...], pods: bool
) -> None:
    assert is_the_pods(name.encode(), include, exclude) is pods


def test_services_with_unlucky_names_are_seen() -> None:
    """Kubernetes makes NAME_SERVICE_HOST of a Service's name."""
    for service in ("DOCKER", "SSH", "GPG", "DBUS", "NODE", "TERM", "SSL", "GO", "LANG"):
        assert is_the_pods(f"{service}_SERVICE_HOST".encode())


def test_users_are_told_of_every_name_in_the_list() -> None:
    text = DOCUMENT.read_text()
    assert [name for name in KEPT if f"`{name}`" not in text] == []


def test_volumes_are_named_and_so_is_the_directory_that_has_them() -> None:
    paths = (b"/", b"/proc", b"/var/run/secrets", b"/app data", b"/etc/hosts", b"/dev/shm")
    mounts = tuple(MountPoint(path=path, read_only=False) for path in paths)
    made = make_environment(PLAN, POD, Endpoints(environ={}, mounts=mounts), Path("/tmp/x/fs"))
    assert made.pod[b"TELEPRESENCE_MOUNTS"] == b"/app data:/var/run/secrets"
    assert made.process[b"TELEPRESENCE_ROOT"] == b"/tmp/x/fs"
    assert b"TELEPRESENCE_ROOT" not in make_environment(PLAN, POD, Endpoints(environ={})).pod
