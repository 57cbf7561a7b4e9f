"""How long until the user's process runs, and until the command ends after it?

Called by: make bench.
Owns: the pods and sessions that it starts.
Never: tunes what it measures.

The limit is a bare pod: `kubectl run` until it is Ready, in the same run, in turn.
"""

import re
import statistics
import subprocess
import time

from figures import finish, floor, show
from paths import HERE, TELEPRESENCE, inject_tcp

ROUNDS = 9
CRASHING = HERE.parent / "tests" / "cluster" / "crashing.py"


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


def crash(image: str) -> float:
    """Seconds from the container's last words, which say when, to the end of the command."""
    command = [TELEPRESENCE, "-m", "inject-tcp", "--image", image, "--run", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ended = time.time()
    words = re.search(r"last words ([0-9.]+)", done.stderr)
    if done.returncode != 255 or words is None:
        raise SystemExit(f"no report of the crash: {done.stderr}")
    return ended - float(words[1])


def main() -> None:
    image = subprocess.run([CRASHING], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    bare, running, ending, crashed, ratios = [], [], [], [], []
    for number in range(ROUNDS):
        bare.append(bare_pod(number))
        with inject_tcp() as session:
            running.append(session.ready_s)
            ending.append(session.end())
        ratios.append(running[-1] / bare[-1])
        crashed.append(crash(image))
    show("a bare pod, kubectl run until Ready", bare, "s")
    show("telepresence until the process runs", running, "s")
    show("the process's end until telepresence's", ending, "s")
    show("a pod's crash until its report", crashed, "s")
    floor("process running / bare pod", statistics.median(ratios), at_most=1.8)
    floor("seconds to end", statistics.median(ending), at_most=0.8)
    floor("seconds from crash to report", statistics.median(crashed), at_most=2.0)
    finish()


if __name__ == "__main__":
    main()
