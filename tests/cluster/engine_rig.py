"""The sandbox's Docker engine, for tests of the method container.

Called by: conftest.py (fixtures), the container tests.
Owns: the images that a test makes, each until its context ends.
Never: prunes; what others have in the engine is theirs.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SANDBOX = Path(__file__).parents[2] / "sandbox" / "sandbox"
BASE = "sandbox-base:1"
RUN = ("--docker-run", "--rm")


def start() -> str:
    """DOCKER_HOST of an engine that has the agent's image and sandbox-base:1."""
    subprocess.run([SANDBOX, "docker", "up"], check=True, capture_output=True, timeout=180)
    said = subprocess.run([SANDBOX, "env"], capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in said.splitlines() if "DOCKER_HOST" in line)
    os.environ["DOCKER_HOST"] = line.partition("=")[2]
    docker("load", "--quiet", "--input", str(agents_image()))
    return os.environ["DOCKER_HOST"]


def agents_image() -> Path:
    build = SANDBOX.parents[1] / "pod-image" / "build"
    said = subprocess.run([build], capture_output=True, text=True, check=True).stdout
    return Path(said.splitlines()[-1])


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def held() -> tuple[str, str, str]:
    """What `docker ps -a`, `docker volume ls` and `docker network ls` say; an engine that starts
    makes its own networks anew."""
    networks = docker("network", "ls", "--format", "{{.Name}} {{.Driver}}")
    return docker("ps", "-aq"), docker("volume", "ls", "-q"), networks


@contextlib.contextmanager
def left_as_it_was() -> Iterator[None]:
    before = held()
    yield
    assert held() == before


def proxies() -> list[str]:
    """Names of running proxy containers."""
    names = docker("ps", "--format", "{{.Names}}").split()
    return [name for name in names if name.endswith("-proxy")]


@contextlib.contextmanager
def image(name: str, root: Path, *changes: str) -> Iterator[str]:
    """An image of what is under `root`; each change is a line of a Dockerfile."""
    tar = subprocess.run(["tar", "-C", root, "-cf", "-", "."], capture_output=True, check=True)
    words = [word for change in changes for word in ("--change", change)]
    subprocess.run(["docker", "import", *words, "-", name], input=tar.stdout, check=True,
                   capture_output=True)  # fmt: skip
    try:
        yield name
    finally:
        docker("rmi", name)


@contextlib.contextmanager
def built(name: str, folder: Path, dockerfile: str) -> Iterator[str]:
    """An image by a Dockerfile, of which no step needs a network."""
    (folder / "Dockerfile").write_text(dockerfile)
    subprocess.run(["docker", "build", "--quiet", "--network=none", "--tag", name, folder],
                   check=True, capture_output=True,
                   env={**os.environ, "DOCKER_BUILDKIT": "0"})  # fmt: skip
    try:
        yield name
    finally:
        docker("rmi", name)


def put(root: Path, *programs: str) -> None:
    """Programs of this machine into an image, each with the libraries that it is linked with."""
    for program in programs:
        path = Path(shutil.which(program) or program)
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        libraries = [Path(word) for word in said.split() if word.startswith("/")]
        for needed in (path, *libraries):
            place = root / needed.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(needed, place)
