"""How long until the user's process runs, and until the command ends after it?

Called by: make bench.
Owns: the pods, the workload and the sessions that it starts.
Never: tunes what it measures.

The limit is a bare pod: `kubectl run` until it is Ready, in the same run, in turn.  A swap also
waits for the workload's own pod to end, which is measured beside it.
"""

import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from figures import finish, floor, show
from paths import HERE, TELEPRESENCE

ROUNDS = 9
CRASHING = HERE.parent / "tests" / "cluster" / "crashing.py"
IMAGE = "localhost/sandbox-base:1"
SWAPPED = "bench-swapped"
NOW = "import time; print(time.time())"
STAGE = re.compile(r"T: +([0-9.]+) s \(\+([0-9.]+)\) (.*)")


def kubectl(*words: str, stdin: str | None = None) -> str:
    return subprocess.run(
        ["kubectl", *words], input=stdin, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def bare_pod(number: int) -> float:
    """Seconds from `kubectl run` to Ready, of a pod from an image that is on the node."""
    name = f"bench-bare-{number}-{time.monotonic_ns() % 10**6}"
    began = time.time()
    kubectl("run", name, f"--image={IMAGE}", "--restart=Never",
            "--image-pull-policy=IfNotPresent", "--", "sleep", "60")  # fmt: skip
    kubectl("wait", "--for=condition=Ready", f"pod/{name}")
    taken = time.time() - began
    kubectl("delete", "pod", name, "--now", "--wait=false")
    return taken


@contextlib.contextmanager
def workload() -> Iterator[None]:
    """A Deployment of one pod, which ends as soon as it is told to."""
    container = {"name": "app", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                 "command": ["python3", "-m", "http.server"]}  # fmt: skip
    labels = {"app": SWAPPED}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": SWAPPED},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": spec}}}  # fmt: skip
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    try:
        yield
    finally:
        kubectl("delete", "deployment", SWAPPED)


def settle() -> None:
    kubectl("rollout", "status", f"deployment/{SWAPPED}")


def termination() -> float:
    """Seconds from a scaling to 0 until the last pod is gone."""
    settle()
    began = time.time()
    kubectl("scale", f"deployment/{SWAPPED}", "--replicas=0")
    kubectl("wait", "--for=delete", "pod", "-l", f"app={SWAPPED}", "--timeout=30s")
    taken = time.time() - began
    kubectl("scale", f"deployment/{SWAPPED}", "--replicas=1")
    return taken


@dataclass
class Session:
    running_s: float  # from the command to its process
    ending_s: float  # from the process's end to the command's
    stages: list[tuple[str, float]]


def session(*words: str) -> Session:
    began = time.time()
    done = subprocess.run(
        [TELEPRESENCE, "--verbose", "-m", "inject-tcp", *words, "--run", sys.executable, "-c", NOW],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ended = time.time()
    if done.returncode:
        raise SystemExit(f"a session failed: {done.stderr}")
    now = float(done.stdout)
    found = (STAGE.fullmatch(line) for line in done.stderr.splitlines())
    stages = [(match[3], float(match[2])) for match in found if match]
    return Session(now - began, ended - now, stages)


def show_stages(kind: str, sessions: list[Session]) -> None:
    took = defaultdict(list)
    for one in sessions:
        for name, seconds in one.stages:
            took[name].append(seconds)
    for name, seconds in took.items():
        show(f"  {kind}: {name}", seconds, "s")


def crash(image: str) -> float:
    """Seconds from the container's last words, which say when, to the end of the command."""
    command = [TELEPRESENCE, "-m", "inject-tcp", "--image", image, "--run", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ended = time.time()
    words = re.search(r"last words ([0-9.]+)", done.stderr)
    if done.returncode != 255 or words is None:
        raise SystemExit(f"no report of the crash: {done.stderr}")
    return ended - float(words[1])


def swap() -> Session:
    """Restored as soon as the command has ended."""
    settle()
    done = session("-s", SWAPPED)
    if json.loads(kubectl("get", "deployment", SWAPPED, "-o", "json"))["spec"]["replicas"] != 1:
        raise SystemExit(f"{SWAPPED} is not restored")
    return done


def main() -> None:
    image = subprocess.run([CRASHING], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    bare, new, swapped, gone, crashed = [], [], [], [], []
    with workload():
        for number in range(ROUNDS):
            bare.append(bare_pod(number))
            new.append(session())
            gone.append(termination())
            swapped.append(swap())
            crashed.append(crash(image))
    show("a bare pod, kubectl run until Ready", bare, "s")
    show("a workload's own pod, scaled to 0 until gone", gone, "s")
    show("a pod's crash until its report", crashed, "s")
    for kind, sessions in (("new", new), ("swap", swapped)):
        show(f"{kind}: until the process runs", [one.running_s for one in sessions], "s")
        show(f"{kind}: the process's end until telepresence's", [s.ending_s for s in sessions], "s")
        show_stages(kind, sessions)

    def ratio(seconds: list[float]) -> float:
        return statistics.median(s / limit for s, limit in zip(seconds, bare, strict=True))

    floor("new running / bare pod", ratio([one.running_s for one in new]), at_most=1.7)
    waited = [one.running_s - own for one, own in zip(swapped, gone, strict=True)]
    floor("swap running, less the own pod's end / bare pod", ratio(waited), at_most=2.2)
    for kind, sessions in (("new", new), ("swap", swapped)):
        floor(f"{kind} ending / bare pod", ratio([one.ending_s for one in sessions]), at_most=0.9)
    floor("seconds to end", statistics.median(one.ending_s for one in new), at_most=0.8)
    floor("seconds from crash to report", statistics.median(crashed), at_most=2.0)
    finish()


if __name__ == "__main__":
    main()
