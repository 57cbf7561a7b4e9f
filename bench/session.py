"""How long until the user's process runs, and until the command ends after it?

Called by: make bench.
Owns: the pods and sessions that it starts.
Never: tunes what it measures.

The limit is a bare pod: `kubectl run` until it is Ready, in the same run, in turn.
"""

import statistics
import subprocess
import time

from figures import finish, floor, show
from paths import TELEPRESENCE, inject_tcp

ROUNDS = 9


def bare_pod(number: int) -> float:
    """Seconds from `kubectl run` to Ready, of a pod from an image that is on the node."""
    name = f"bench-bare-{number}-{time.monotonic_ns() % 10**6}"
    began = time.time()
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(
        ["kubectl", "run", name, "--image=localhost/sandbox-base:1", "--restart=Never",
         "--image-pull-policy=IfNotPresent", "--", "sleep", "60"],
        **quiet,
    )  # fmt: skip
    subprocess.run(["kubectl", "wait", "--for=condition=Ready", f"pod/{name}"], **quiet)
    taken = time.time() - began
    subprocess.run(["kubectl", "delete", "pod", name, "--now", "--wait=false"], **quiet)
    return taken


def crash() -> float:
    """Seconds from the start of the command to the report of a pod that crashes at its start."""
    began = time.time()
    done = subprocess.run(
        [TELEPRESENCE, "--image", "localhost/sandbox-base:1", "--run", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 255 or "exit" not in done.stderr.lower():
        raise SystemExit(f"no report of the crash: {done.stderr}")
    return time.time() - began


def main() -> None:
    bare, running, ending, crashed, ratios = [], [], [], [], []
    for number in range(ROUNDS):
        bare.append(bare_pod(number))
        with inject_tcp() as session:
            running.append(session.ready_s)
            ending.append(session.end())
        ratios.append(running[-1] / bare[-1])
        crashed.append(crash())
    show("a bare pod, kubectl run until Ready", bare, "s")
    show("telepresence until the process runs", running, "s")
    show("the process's end until telepresence's", ending, "s")
    show("a crashing pod until its report", crashed, "s")
    floor("process running / bare pod", statistics.median(ratios), at_most=1.8)
    floor("seconds to end", statistics.median(ending), at_most=0.8)
    # From the start of the command; the crash itself comes when a bare pod would be ready.
    late = statistics.median(c - b for c, b in zip(crashed, bare, strict=True))
    floor("seconds from crash to report", late, at_most=2.0)
    finish()


if __name__ == "__main__":
    main()
