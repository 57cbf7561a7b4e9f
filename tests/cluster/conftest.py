"""Fixtures: a cluster, the command in a directory of its own, a namespace.

Called by: every test of this folder.
Owns: the sessions that a test starts; no pod and no port-forward of theirs may be left.
Never: brings a cluster up; `make test` does.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine_rig
from laptop import Laptop, lent
from rig import Telepresence, kubectl, objects
from volume_scene import deployment, left_of_volumes, volume_objects
from workloads import apply, made_namespace, make_asker, until_ready


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the matrix, leave out the combinations that a test is not for (its mark says which)."""
    items[:] = [item for item in items if _is_meant(item)]


def _is_meant(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("combinations")
    if mark is None:
        return True
    assert isinstance(item, pytest.Function)
    method, operation = item.callspec.params["session"].split()
    return method in mark.kwargs.get("methods", [method]) and operation in mark.kwargs.get(
        "operations", [operation]
    )


@pytest.fixture(scope="session", autouse=True)
def kubeconfig() -> Path:
    path = os.environ.get("KUBECONFIG", "")
    if not path or not Path(path).is_file():
        pytest.skip("KUBECONFIG names no cluster; `make test` brings one up")
    return Path(path)


@pytest.fixture
def telepresence(tmp_path: Path) -> Iterator[Telepresence]:
    yield Telepresence(tmp_path)
    # By the logs of this test, as others may be using the cluster at the same time.
    logs = " ".join(path.read_text() for path in tmp_path.rglob("telepresence.log"))
    for name, namespace in re.findall(r"created pod (\S+) in namespace (\S+)", logs):
        field = f"--field-selector=metadata.name={name}"
        left = [pod for pod in objects("pods", "-n", namespace, field)
                if "deletionTimestamp" not in pod["metadata"]]  # fmt: skip
        assert not left, "a session left its pod"
        forwards = ["pgrep", "-af", f"port-forward.*pod/{name}"]
        assert not subprocess.run(forwards, stdout=subprocess.PIPE, check=False).stdout, (
            "a session left its port-forward"
        )
        assert not left_of_volumes(name), "a session left a mount, or a process of one"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace of the test's own, with its default service account."""
    with made_namespace() as name:
        yield name


@pytest.fixture
def asker(namespace: str) -> str:
    """A namespace with a pod that asks: workloads.asked()."""
    make_asker(namespace)
    return namespace


@pytest.fixture(scope="session")
def engine(kubeconfig: Path) -> str:
    """DOCKER_HOST of the sandbox's Docker engine."""
    if not Path("/run/telepresence-sandbox").exists():
        pytest.skip("no sandbox runs, whose Docker engine these tests use: sandbox/sandbox up")
    return engine_rig.start()


@pytest.fixture
def engine_left_as_it_was(engine: str) -> Iterator[None]:
    """Containers, volumes and networks are the same after the test."""
    with engine_rig.left_as_it_was():
        yield


@pytest.fixture(scope="module")
def host(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the node, which is this machine: what is in it is the test's to say."""
    if [node["metadata"]["name"] for node in objects("nodes")] != ["sandbox"]:
        pytest.skip("the directory of a hostPath volume can be filled on the sandbox's node alone")
    folder = tmp_path_factory.mktemp("node") / "host"
    for parent in list(folder.parents)[:3]:
        parent.chmod(0o755)
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "claim").mkdir()
    (folder / "claim").chmod(0o777)
    return folder


@pytest.fixture(scope="module")
def web(host: Path) -> Iterator[str]:
    """The namespace of a workload with a volume of every kind."""
    with made_namespace() as name:
        apply(name, *volume_objects(name, host), deployment(host))
        until_ready(name, "deployment/web")
        yield name
        kubectl("delete", "persistentvolume", name, "--wait=false")


@pytest.fixture
def laptop(tmp_path: Path, kubeconfig: Path) -> Iterator[Laptop]:
    """A machine of its own, whose firewall is afterwards what it was before, byte for byte."""
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        pytest.skip("laptops need root or sudo")
    with lent(tmp_path) as made:
        before = made.rules()
        yield made
        assert made.rules() == before
