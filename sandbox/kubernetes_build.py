"""Build Kubernetes from Debian's source package, which needs no image registry.

Called by: cli.  Owns: the five binaries in the cache, keyed by version.
Never: leaves a half-built set under the final name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import places
from machine import SandboxError, run, say

BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
SUITE = "bookworm"  # trixie's source package is stripped down to kubectl
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ARCHIVES = (
    ("http://deb.debian.org/debian", SUITE),
    ("http://deb.debian.org/debian-security", f"{SUITE}-security"),
)
COMPILED_PACKAGES = 2041  # of `go build` for all five, counted once; only for the percentage shown
PROGRESS_S = 10.0
REFLECT2 = "github.com/modern-go/reflect2"
TAG = re.compile(rb"^// \+k8s:openapi-gen=", re.MULTILINE)
# Directories that upstream's own generator run leaves out as well.
UNTAGGED = re.compile(
    r"_examples|sample-|/testdata/|zz_generated|code-generator|gengo|kube-openapi/(cmd|test)"
)


def is_built() -> bool:
    return all((places.binaries() / name).exists() for name in BINARIES)


def build() -> None:
    """Download, generate, compile; then move the binaries to their place."""
    if is_built():
        return
    work = places.cache() / "build" / "kubernetes"
    work.mkdir(parents=True, exist_ok=True)
    version = places.KUBERNETES_VERSION
    say(f"building Kubernetes {version} from Debian's source: once, 4 to 8 minutes")
    tree = work / "go/src/k8s.io/kubernetes"
    if not (tree / ".unpacked").exists():
        _unpack(_download(work), tree)
    _mend(tree)
    _generate_openapi(work, tree)
    _compile(work, tree)
    final = places.binaries()
    final.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    (work / "bin").rename(final)
    shutil.rmtree(work, ignore_errors=True)  # 2 GB of compiler cache


def _download(work: Path) -> Path:
    """Fetch the source package by a private list of sources: the machine's own stays as it is."""
    for directory in ("apt/lists/partial", "apt/cache/archives/partial", "source"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={KEYRING}] " if Path(KEYRING).exists() else ""
    (work / "apt/sources.list").write_text(
        "".join(f"deb-src {signed}{url} {suite} main\n" for url, suite in ARCHIVES)
    )
    settings = {
        "Dir::Etc::sourcelist": work / "apt/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "apt/lists",
        "Dir::Cache": work / "apt/cache",
        "APT::Sandbox::User": "root",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    say("fetching the source package (35 MB)")
    run("apt-get", *options, "update")
    listing = run("apt-cache", *options, "showsrc", "kubernetes")
    wanted = rf"^Version: (\S*really{re.escape(places.KUBERNETES_VERSION)}-\S+)"
    versions = re.findall(wanted, listing, re.MULTILINE)
    if not versions:
        raise SandboxError(
            f"Debian {SUITE} has no source of Kubernetes {places.KUBERNETES_VERSION} any more: "
            "set another version in sandbox/places.py"
        )
    done = subprocess.run(
        ["apt-get", *options, "source", "--download-only", f"kubernetes={versions[0]}"],
        cwd=work / "source",
        capture_output=True,
        text=True,
        check=False,
    )
    found = list((work / "source").glob("kubernetes_*.orig.tar.*"))
    if done.returncode != 0 or len(found) != 1:
        raise SandboxError(f"`apt-get source kubernetes` failed: {done.stderr.strip()[-200:]}")
    return found[0]


def _unpack(archive: Path, tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(tree, members=_without_top(tar))
    (tree / ".unpacked").touch()


def _mend(tree: Path) -> None:
    """Its own copy of reflect2 walks maps as Go did before 1.18: an API server that a newer one
    compiled crashes once in a while.  Debian's package is a version that does not."""
    vendored = tree / "vendor" / REFLECT2
    shutil.rmtree(vendored)
    shutil.copytree(Path("/usr/share/gocode/src") / REFLECT2, vendored)


def _without_top(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        _, slash, rest = member.name.partition("/")
        if slash:
            member.name = rest
            if member.islnk():
                member.linkname = member.linkname.partition("/")[2]
            yield member


def _go(work: Path) -> dict[str, str]:
    """GOPATH mode: in module mode Go >= 1.16 stops at "updates to go.mod needed"."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(work),
        "GOPATH": str(work / "go"),
        "GOCACHE": str(work / "gocache"),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }


def _generate_openapi(work: Path, tree: Path) -> None:
    """The API server does not compile without this generated file, which the tarball lacks."""
    say("generating the OpenAPI definitions")
    generator = work / "openapi-gen"
    _in_tree(
        work, tree, "go", "build", "-o", generator, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"
    )
    _in_tree(
        work, tree, generator,
        "-O", "zz_generated.openapi",
        "-i", ",".join(_tagged_packages(tree)),
        "-p", "k8s.io/kubernetes/pkg/generated/openapi",
        "-r", work / "violations.report",
        "-h", "hack/boilerplate/boilerplate.generatego.txt",
    )  # fmt: skip


def _tagged_packages(tree: Path) -> list[str]:
    found = set()
    for top in ("staging/src/k8s.io", "pkg", "cmd", "vendor/k8s.io"):
        # os.walk: vendor/k8s.io holds symlinks into staging/, which must not be visited twice
        for directory, _, files in os.walk(tree / top):
            for name in files:
                path = Path(directory, name)
                relative = path.relative_to(tree)
                if path.suffix != ".go" or UNTAGGED.search(str(relative)):
                    continue
                if TAG.search(path.read_bytes()):
                    found.add(str(relative.parent))
    vendored = (directory.replace("staging/src/", "vendor/", 1) for directory in found)
    return sorted(f"k8s.io/kubernetes/{directory}" for directory in vendored)


def _in_tree(work: Path, tree: Path, *command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=tree, env=_go(work), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SandboxError(f"`{command[0]}` failed: {done.stderr.strip()[-300:]}")


def _compile(work: Path, tree: Path) -> None:
    (work / "bin").mkdir(exist_ok=True)
    # The vendored path: in GOPATH mode the plain one has no effect (the server is v0.0.0-master).
    version = "k8s.io/kubernetes/vendor/k8s.io/component-base/version"
    major, minor, _ = places.KUBERNETES_VERSION.split(".")
    stamps = {"gitVersion": f"v{places.KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    stamped = (f"-X {version}.{key}={value}" for key, value in stamps.items())
    flags = " ".join(["-s", "-w", *stamped])
    command = ["go", "build", "-v", "-ldflags", flags, "-o", str(work / "bin") + "/"]
    command += [f"k8s.io/kubernetes/cmd/{name}" for name in BINARIES]
    say("compiling five programs")
    with subprocess.Popen(
        command, cwd=tree, env=_go(work), stderr=subprocess.PIPE, text=True
    ) as compiler:
        assert compiler.stderr is not None
        tail: list[str] = []
        shown = time.monotonic()
        count = 0
        for count, line in enumerate(compiler.stderr, 1):
            tail = [*tail[-19:], line]
            if time.monotonic() - shown > PROGRESS_S:
                shown = time.monotonic()
                say(f"compiling: {min(99, 100 * count // COMPILED_PACKAGES)} % ({line.strip()})")
    say(f"compiled {count} packages")
    if compiler.returncode != 0:
        raise SandboxError(f"go build failed: {''.join(tail).strip()[-400:]}")
