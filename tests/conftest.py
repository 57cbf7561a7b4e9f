"""The cluster that tests run against, and what a whole run must leave: nothing.

Called by: pytest, for every folder beside it.
Owns: nothing; the sandbox and the image outlive the run.
Never: starts a sandbox (`setup/cluster` does); sleeps.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
SANDBOX = TOP / "sandbox" / "sandbox"
CLUSTER_TIMEOUT_S = 10  # kubectl's own patience is longer than a test's


def _children() -> set[int]:
    """Direct children of this process.  Source: proc(5), task/TID/children."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def _descriptors() -> dict[int, str]:
    found = {}
    for link in list(Path("/proc/self/fd").iterdir()):
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # the one that listed the directory
            continue
        # Files that pytest itself keeps are none of ours: only what a process or peer holds too.
        if re.match(r"(socket|pipe|anon_inode):", target):
            found[int(link.name)] = target
    return found


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_by_the_run() -> Iterator[None]:
    """What was opened is closed: no socket, pipe or child process outlives the last test."""
    children, descriptors = _children(), _descriptors()
    yield
    assert _children() <= children
    left = {fd: what for fd, what in _descriptors().items() if descriptors.get(fd) != what}
    assert not left


def _sandbox_kubeconfig() -> str | None:
    done = subprocess.run([SANDBOX, "env"], capture_output=True, text=True, check=False)
    match = re.match(r"export KUBECONFIG=(\S+)", done.stdout)
    return match[1] if match else None


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[str]:
    """The path of $KUBECONFIG or else of the sandbox's; in the environment for all that follows."""
    path = os.environ.get("KUBECONFIG") or _sandbox_kubeconfig()
    if path is None:
        pytest.skip("no cluster: set KUBECONFIG or run `sandbox/sandbox up`")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", path)
        asked = subprocess.run(
            ["kubectl", "version", f"--request-timeout={CLUSTER_TIMEOUT_S}s"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode != 0:
            # A cluster that was there a moment ago and fails is a failure; skipping would hide it.
            pytest.fail(f"the cluster of {path} does not answer: {asked.stderr.strip()}")
        yield path


@pytest.fixture(scope="session")
def is_sandbox(kubeconfig: str) -> bool:
    return kubeconfig == _sandbox_kubeconfig()


@pytest.fixture(scope="session")
def agent_image(kubeconfig: str, is_sandbox: bool) -> None:
    """The image of these sources is in the sandbox; another cluster's user has brought it."""
    if is_sandbox:
        built = subprocess.run(
            [TOP / "pod-image" / "build"], check=True, stdout=subprocess.PIPE, text=True
        )
        subprocess.run([SANDBOX, "image", built.stdout.split()[-1]], check=True)


@pytest.fixture(scope="session")
def telepresence_cmd(agent_image: None) -> Path:
    """The command as it is installed, ready to be used on the cluster of `kubeconfig`."""
    return TOP / ".venv" / "bin" / "telepresence"
