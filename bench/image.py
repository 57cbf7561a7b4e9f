"""How large is the agent's image, and how much later than a bare pod is its pod ready?

Called by: make bench.
Owns: the pods that it starts.
Never: tunes what it measures.
"""

import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from figures import finish, floor, show
from paths import HERE

ROUNDS = 7
LARGEST_MB = 30.0  # 22 without nft, 27 with it; a pull over 20 Mbit/s then takes 9 s


def ready(image: str, *words: str) -> float:
    """Seconds from `kubectl run` until the pod is Ready."""
    name = f"bench-image-{time.monotonic_ns() % 10**9}"
    began = time.time()
    run = ["kubectl", "run", name, f"--image={image}", "--restart=Never"]
    run += ["--image-pull-policy=IfNotPresent", "--", *words]
    subprocess.run(run, stdout=subprocess.DEVNULL, check=True)
    wait = ["kubectl", "wait", "--for=condition=Ready", f"pod/{name}"]
    subprocess.run(wait, stdout=subprocess.DEVNULL, check=True)
    taken = time.time() - began
    delete = ["kubectl", "delete", "pod", name, "--now", "--wait=false"]
    subprocess.run(delete, stdout=subprocess.DEVNULL, check=True)
    return taken


def main() -> None:
    built = subprocess.run(
        [HERE.parent / "pod-image" / "build"], stdout=subprocess.PIPE, text=True, check=True
    )
    archive = Path(built.stdout.splitlines()[-1])
    tag = f"telepresence-agent:{version('telepresence')}"
    ours, bare, ratios = [], [], []
    for _ in range(ROUNDS):
        bare.append(ready("localhost/sandbox-base:1", "sleep", "60"))
        ours.append(ready(tag, f"--session={'0' * 32}", f"--secret-sha256={'0' * 64}"))
        ratios.append(ours[-1] / bare[-1])
    size_mb = show("the image's archive", [archive.stat().st_size / 1e6], "MB")
    show("a bare pod until Ready", bare, "s")
    show("the agent's pod until Ready", ours, "s")
    floor("megabytes", size_mb, at_most=LARGEST_MB)
    floor("the agent's pod / a bare pod", statistics.median(ratios), at_most=1.3)
    finish()


if __name__ == "__main__":
    main()
