"""Which container of a workload the command is to be."""

import pytest

from telepresence import cli
from telepresence.target import container_of, runs_agent
from telepresence.values import Workload

CONTAINERS = [
    {"name": "app", "image": "nginx:1"},
    {"name": "agent", "image": "r.example:5000/x/telepresence-agent:0.1@sha256:00"},
]
WORKLOAD = Workload(
    kind="Deployment", name="web", path="", plural="", group="", uid="", version="", replicas=1,
    selector="", template={"spec": {"containers": CONTAINERS}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["-s", "web"], "app"),
        (["-s", "web:agent"], "agent"),
        (["-s", "web:none"], None),
        (["-d", "web"], "agent"),
        (["-d", "web:app"], "app"),
        (["-d", "web:none"], None),
        (["-d", "web", "--image", "nginx:1"], "app"),
    ],
)
def test_the_named_one_or_the_first_that_fits(argv: list[str], name: str | None) -> None:
    found = container_of(cli.parse(argv), WORKLOAD)
    assert (found and found["name"]) == name


@pytest.mark.parametrize(
    ("image", "is_ours"),
    [
        ("telepresence-agent", True),
        ("telepresence-agent:0.1", True),
        ("localhost:5000/telepresence-agent", True),
        ("r/telepresence-agent@sha256:00", True),
        ("telepresence-agents:1", False),
        ("telepresence-agent/nginx", False),
        ("nginx", False),
        ("mine:1", True),
    ],
)
def test_the_agent_is_known_by_its_images_name(image: str, is_ours: bool) -> None:
    assert runs_agent({"image": image}, "mine:1") is is_ours
