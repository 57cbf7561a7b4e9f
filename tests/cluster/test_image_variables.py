"""What the image of a swapped container defines, which only a pod that runs it tells."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

import images
from rig import Telepresence, kubectl
from roles import account
from workloads import Json, apply, until_ready, workload

INJECT = ("-m", "inject-tcp")
SHOW = ("/usr/bin/python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
OF_IMAGE = {
    "PATH": "/bin", "VERSION": "3.9.1", "PEM": "-----\ntwo\nlines\n-----\n", "EMPTY": "",
    "QUOTES": """it's "so" $HOME `id`""", "WIDE": "pät → h", "BOTH": "of the image",
    "PYTHONHOME": "/of/the/image", "KUBERNETES_SERVICE_HOST": "of the image",
}  # fmt: skip
MISSING = "T: without the variables of app's image (ENV): "


@pytest.fixture(scope="module")
def image(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return images.load("with-variables", tmp_path_factory.mktemp("image"), OF_IMAGE, "cat")


def runs(image: str, kind: str = "Deployment", replicas: int = 1) -> Json:
    made = workload("web", kind, replicas)
    (main,) = made["spec"]["template"]["spec"]["containers"]
    del main["command"]
    main |= {"image": image, "env": [{"name": "BOTH", "value": "of the pod"}]}
    return made


def swapped(
    telepresence: Telepresence, *where: str, env: dict[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """The command's environment, and why its image's variables are missing, if they are."""
    done = telepresence(*INJECT, *where, "--run", *SHOW, env=env)
    assert done.code == 0, done.err
    environ: dict[str, str] = json.loads(done.out)
    return environ, [line.removeprefix(MISSING) for line in done.said if line.startswith(MISSING)]


def test_they_are_there_with_the_printed_role_and_no_more(
    telepresence: Telepresence, namespace: str, image: str
) -> None:
    apply(namespace, runs(image))
    until_ready(namespace, "deployment/web")
    user = account(telepresence, namespace, *INJECT, "-s", "web")
    where = ("--namespace", namespace, "-s", "web")
    words = ("--env-exclude", "VER*", "--env-json", "e.json")
    environ, notes = swapped(telepresence, *where, *words, env=user)
    for name in ("PEM", "EMPTY", "QUOTES", "WIDE"):
        assert environ[name] == OF_IMAGE[name]
    assert notes == []
    assert environ["BOTH"] == "of the pod"
    assert environ["KUBERNETES_SERVICE_HOST"] != "of the image"
    assert not {"VERSION", "PYTHONHOME"} & environ.keys()
    assert environ["PATH"] != OF_IMAGE["PATH"]
    held = json.loads((telepresence.directory / "e.json").read_text())
    assert held["PEM"] == OF_IMAGE["PEM"]
    assert OF_IMAGE["QUOTES"] not in telepresence.log.read_text()


def test_all_is_as_the_workloads_own_container_has_it(
    telepresence: Telepresence, namespace: str, image: str
) -> None:
    """Byte for byte, whatever Kubernetes makes of a Secret that is no text."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "raw"},
              "data": {"RAW": base64.b64encode(b"a\xff\xfe\nb").decode()}}  # fmt: skip
    made = runs(image)
    (main,) = made["spec"]["template"]["spec"]["containers"]
    main["envFrom"] = [{"secretRef": {"name": "raw"}}]
    apply(namespace, secret, made)
    until_ready(namespace, "deployment/web")
    read = ["kubectl", "exec", "-n", namespace, "deployment/web", "--", "cat", "/proc/self/environ"]
    own = subprocess.run(read, check=True, capture_output=True, timeout=60).stdout.split(b"\0")
    ours = telepresence.directory / "environ"
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "web",
                        "--run", "cp", "/proc/self/environ", str(ours))  # fmt: skip
    assert done.code == 0, done.err
    kept = {b"PATH", b"HOME", b"HOSTNAME", b"PYTHONHOME"}
    expected = {entry for entry in own if entry and entry.partition(b"=")[0] not in kept}
    assert any(entry.startswith(b"RAW=a") and entry.endswith(b"\nb") for entry in expected)
    assert expected <= set(ours.read_bytes().split(b"\0"))


def test_a_statefulsets_too_and_what_stands_in_the_way_is_said(
    telepresence: Telepresence, namespace: str, image: str
) -> None:
    apply(namespace, runs(image, "StatefulSet"))
    until_ready(namespace, "statefulset/web")
    user = account(telepresence, namespace, *INJECT, "-s", "sts/web")
    where = ("--namespace", namespace, "-s", "sts/web")
    environ, notes = swapped(telepresence, *where, env=user)
    assert (environ["VERSION"], notes) == ("3.9.1", [])
    role = json.loads(kubectl("get", "-n", namespace, "role/telepresence", "-o", "json"))
    role["rules"] = [rule for rule in role["rules"] if rule["resources"] != ["pods/exec"]]
    apply(namespace, role)
    until_ready(namespace, "statefulset/web")
    environ, notes = swapped(telepresence, *where, env=user)
    rights = "you may not read them in its pod; 'telepresence rbac' prints the rights"
    assert ("VERSION" in environ, environ["BOTH"], notes) == (False, "of the pod", [rights])
    kubectl("scale", "-n", namespace, "statefulset/web", "--replicas=0")
    until_ready(namespace, "statefulset/web")
    assert swapped(telepresence, *where)[1] == ["it runs in no pod of StatefulSet web"]


def test_an_image_without_cat_is_said_to_be_one(
    telepresence: Telepresence, namespace: str, tmp_path: Path
) -> None:
    apply(namespace, runs(images.load("without-cat", tmp_path, {"VERSION": "1"})))
    until_ready(namespace, "deployment/web")
    environ, notes = swapped(telepresence, "--namespace", namespace, "-s", "web")
    assert ("VERSION" in environ, environ["BOTH"]) == (False, "of the pod")
    assert notes == ["it has no program 'cat' to read them with"]
