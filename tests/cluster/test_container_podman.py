"""The same by podman, whose network, user namespaces and options are its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine_rig
from rig import Telepresence

# What this kind of machine lacks: systemd, the right to raise limits, and cgroups of one version.
CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "{place}/networks"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{place}/root"
runroot = "{place}/run"
"""


@dataclass
class Podman:
    environ: dict[str, str]

    def __call__(self, *words: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["podman", *words], input=stdin, capture_output=True, timeout=60,
                              env={**os.environ, **self.environ}, check=False)  # fmt: skip
        if done.returncode:
            raise OSError(done.stderr.decode().strip().splitlines()[-1])
        return done.stdout.decode()


@pytest.fixture(scope="module")
def podman(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """An engine with a place of its own, and images of the agent and of busybox alone."""
    if shutil.which("podman") is None or shutil.which("busybox") is None:
        pytest.skip("no podman or no busybox here: Debian's podman, busybox-static")
    place = tmp_path_factory.mktemp("podman")
    (place / "networks").mkdir()
    (place / "containers.conf").write_text(CONF.format(place=place))
    (place / "storage.conf").write_text(STORAGE.format(place=place))
    made = Podman({"CONTAINERS_CONF": str(place / "containers.conf"),
                   "CONTAINERS_STORAGE_CONF": str(place / "storage.conf")})  # fmt: skip
    root = place / "image"
    (root / "bin").mkdir(parents=True)
    for name in ("busybox", "sh"):
        shutil.copy(shutil.which("busybox") or "", root / "bin" / name)
    tar = subprocess.run(["tar", "-C", root, "-cf", "-", "."], capture_output=True, check=True)
    try:
        made("import", "-", "t-podman:1", stdin=tar.stdout)
        made("run", "--rm", "t-podman:1", "/bin/busybox", "true")
    except OSError as exc:
        pytest.skip(f"podman does not run here: {exc}")
    made("load", "--quiet", "--input", str(engine_rig.agents_image()))
    yield made
    made("rmi", "--all", "--force")
    subprocess.run(["ip", "link", "delete", "cni-podman0"], capture_output=True, check=False)


@pytest.fixture(autouse=True)
def podman_is_left_as_it_was(podman: Podman) -> Iterator[None]:
    def held() -> list[str]:
        return [podman("ps", "-aq"), podman("volume", "ls", "-q"), podman("network", "ls", "-q")]

    before = held()
    yield
    assert held() == before


@pytest.fixture
def run(telepresence: Telepresence, podman: Podman) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        ours, theirs = words[: words.index("--")], words[words.index("--") + 1 :]
        done = telepresence("--docker", "podman", *ours, "--docker-run", *theirs,
                            env=podman.environ, stdin=stdin)  # fmt: skip
        return done.code, done.out, done.err

    return run


def test_names_variables_input_and_the_exit_code(run: Callable[..., tuple[int, str, str]]) -> None:
    full = "helloworld.default.svc.cluster.local"
    script = f"""
for name in helloworld helloworld.default {full}; do
  busybox wget -q -O - http://$name | busybox head -c 5; echo
done
echo $POSTGRES_SERVICE_PORT $OWN; busybox hostname; busybox cat; exit 7"""
    words = ("-n", "t-podman", "--", "-i", "--rm", "-e", "OWN=1", "t-podman:1", "/bin/sh", "-c")
    code, out, err = run(*words, script, stdin="piped\n")
    assert out.splitlines() == ["Hello"] * 3 + ["5432 1", "t-podman", "piped"], err
    assert code == 7


def test_the_pods_files_and_a_port_of_the_laptop(run: Callable[..., tuple[int, str, str]]) -> None:
    words = ("--docker-mount", "/pod", "--container-to-host", "8000:1", "--", "--user", "1234",
             "t-podman:1", "/bin/sh", "-c")  # fmt: skip
    script = ("busybox cat /pod/var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; "
              "busybox netstat -ltn | busybox grep -c ':8000 '")  # fmt: skip
    code, out, err = run(*words, script)
    assert (code, out.splitlines()) == (0, ["default", "1"]), err
