"""How fast are the pod's files: a thousand small ones 20 ms away, a large one, the mount itself?

Called by: make bench.
Owns: a namespace with a workload, sessions, and a relay that delays.
Never: tunes what it measures.

A large file's limit is one connection through the same tunnel, in turn.  The delay is a relay's
before the API server, 10 ms each way; without reading ahead, a small file costs two round trips,
and a large one gets as far in each as the kernel itself reads ahead: 256 KiB.
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from delay import delayed_kubeconfig
from figures import finish, floor, show
from paths import HERE, TELEPRESENCE

ROUNDS = 5
DELAY_S, FAR_S = 0.02, 0.2
LARGE, LARGE_FAR = 200_000_000, 50_000_000


def kubectl(*words: str, text: str | None = None) -> None:
    subprocess.run(
        ["kubectl", *words], input=text, text=True, check=True, stdout=subprocess.DEVNULL
    )


def workload() -> str:
    container: dict[str, Any] = {
        "name": "app", "image": "localhost/sandbox-base:1", "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"},
                         {"name": "scratch", "mountPath": "/scratch"}],
    }  # fmt: skip
    volumes = [
        {"name": "config", "configMap": {"name": "many"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    labels = {"app": "files"}
    template = {"metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": volumes,
                         "terminationGracePeriodSeconds": 0}}  # fmt: skip
    data = {f"key-{number:04}": f"value {number}\n" * 20 for number in range(1000)}
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "many"}, "data": data},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "files"},
         "spec": {"selector": {"matchLabels": labels}, "template": template}},
    ]  # fmt: skip
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@contextlib.contextmanager
def namespace() -> Iterator[str]:
    name = f"bench-volumes-{os.getpid()}"
    kubectl("create", "namespace", name)
    try:
        kubectl("create", "-n", name, "-f", "-", text=workload())
        kubectl("rollout", "status", "-n", name, "deployment/files")
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


class Session:
    """reading.py in a session that swaps the workload; `mounted_s` from tunnel to mount, of which
    `waited_s` when nothing else was to be waited for."""

    def __init__(self, name: str, kubeconfig: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        log = Path(self._folder.name) / "log"
        words = [TELEPRESENCE, "-m", "inject-tcp", "--logfile", log, "--namespace", name,
                 "-s", "files", "--run"]  # fmt: skip
        self._process = subprocess.Popen(
            [*map(str, words), sys.executable, str(HERE / "reading.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "KUBECONFIG": kubeconfig},
        )  # fmt: skip
        while not log.exists() or "stage: process started" not in (said := log.read_text()):
            if self._process.poll() is not None:
                raise SystemExit("the session ended")
            threading.Event().wait(0.05)
        at = stages(said)
        self.mounted_s = at["volumes mounted"] - at["tunnel up"]
        self.waited_s = at["volumes mounted"] - at["workload's pods gone"]

    def ask(self, *order: str | int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._folder.cleanup()


def stages(said: str) -> dict[str, float]:
    """When each stage of a session was reached, by its log."""
    found = re.findall(r"stage: (.+) after ([0-9.]+) s", said)
    return {name: float(after_s) for name, after_s in found}


def start_s(namespace: str, mount: str, kubeconfig: str) -> float:
    """From the pod to the command's start, of a session that has nothing else to do."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        words = [TELEPRESENCE, "-m", "inject-tcp", "--logfile", log, "--namespace", namespace,
                 "--mount", mount, "--run", "true"]  # fmt: skip
        environ = {**os.environ, "KUBECONFIG": kubeconfig}
        subprocess.run(list(map(str, words)), check=True, stderr=subprocess.DEVNULL, env=environ)
        at = stages(log.read_text())
    return at["process started"] - at["pod ready"]


def compare_starts(namespace: str, where: str, kubeconfig: str, *mounts: str) -> float:
    """What the mount adds, in seconds; the ways in turn."""
    starts: dict[str, list[float]] = {mount: [] for mount in mounts}
    for _ in range(ROUNDS):
        for mount, values in starts.items():
            values.append(start_s(namespace, mount, kubeconfig))
    for mount, values in starts.items():
        show(f"pod until command, --mount {mount}{where}", values, "s")
    return statistics.median(starts["true"]) - statistics.median(starts["false"])


def main() -> None:
    with namespace() as name, delayed_kubeconfig(DELAY_S / 2) as distant:
        near, far = os.environ["KUBECONFIG"], str(distant)
        small, mounted, mounted_far, waited = [], [], [], []
        rates: dict[str, list[float]] = {"large": [], "stream": []}
        rates_far: dict[str, list[float]] = {"large": [], "stream": []}
        with contextlib.closing(Session(name, far)) as session:
            mounted_far.append(session.mounted_s)
            waited.append(session.waited_s)
            for _ in range(ROUNDS):
                small.append(session.ask("small"))
                time.sleep(3)  # until nothing of it is kept any more
                for what, values in rates_far.items():
                    values.append(session.ask(what, LARGE_FAR))
        with contextlib.closing(Session(name, near)) as session:
            mounted.append(session.mounted_s)
            waited.append(session.waited_s)
            for _ in range(ROUNDS):
                for what, values in rates.items():
                    values.append(session.ask(what, LARGE))
        added = [compare_starts(name, "", near, "true", "false", "copy"),
                 compare_starts(name, ", 20 ms away", far, "true", "false")]  # fmt: skip
        with delayed_kubeconfig(FAR_S / 2) as farther:
            added.append(compare_starts(name, ", 200 ms away", str(farther), "true", "false"))
        show("tunnel until mounted", mounted, "s")
        show("tunnel until mounted, 20 ms away", mounted_far, "s")
        show("1,000 small files, 20 ms away", small, "s")
        for what, values in rates.items():
            show(f"200 MB, {what}", values, "MB/s")
            show(f"50 MB, {what}, 20 ms away", rates_far[what], "MB/s")
        ratios = [a / b for a, b in zip(rates["large"], rates["stream"], strict=True)]
        floor("seconds from tunnel to mount", max(mounted + mounted_far), at_most=0.5)
        show("of a swap, waited for the mount alone", waited, "s")
        floor("seconds that the mount adds to the start", max(added), at_most=0.1)
        floor("seconds for 1,000 small files", statistics.median(small), at_most=1.5)
        floor("large file / stream of the tunnel", statistics.median(ratios), at_least=0.6)
    finish()


if __name__ == "__main__":
    main()
