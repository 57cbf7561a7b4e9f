"""Which ports of the pod lead to the laptop."""

from telepresence import cli
from telepresence.exposed import exposed
from telepresence.values import Port, Workload

DECLARED = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"},
            {"containerPort": 81, "protocol": "TCP"}, {"containerPort": 80}]  # fmt: skip
WORKLOAD = Workload(
    kind="Deployment", name="web", path="", plural="", group="", uid="", version="", replicas=1,
    selector="",
    template={"spec": {"containers": [{"name": "app", "ports": DECLARED}, {"name": "side"}]}},
)  # fmt: skip


def test_declared_tcp_ports_are_exposed_once() -> None:
    assert exposed(cli.parse(["-s", "web"]), WORKLOAD) == (
        Port(laptop=80, pod=80, is_declared=True),
        Port(laptop=81, pod=81, is_declared=True),
    )


def test_an_explicit_port_wins_over_a_declared_one() -> None:
    asked = cli.parse(["-s", "web", "--expose", "8080:80", "--from-pod", "81"])
    assert exposed(asked, WORKLOAD) == (Port(laptop=8080, pod=80),)


def test_the_ports_are_those_of_the_named_container() -> None:
    assert exposed(cli.parse(["-s", "web:side"]), WORKLOAD) == ()
    assert exposed(cli.parse(["-s", "web:none"]), WORKLOAD) == ()


def test_a_new_pod_exposes_what_is_asked_for() -> None:
    assert exposed(cli.parse([]), None) == ()
    assert exposed(cli.parse(["--expose", "1:2"]), None) == (Port(laptop=1, pod=2),)
