"""Each method and operation with exactly the Role that `telepresence rbac` prints for it."""

from pathlib import Path

import pytest

from engine_rig import BASE, RUN
from laptop import lent
from rig import Telepresence, objects
from roles import account
from test_existing import manifest
from workloads import apply, state, until, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
USED = ("-d", "proxy", "--expose", "8080")
OPERATIONS = [("-n", "t-role"), ("-n", "t-role", "--expose", "8080"), ("-s", "web"),
              ("-s", "sts/web"), ("-s", "rs/web", "--expose", "8080"), USED]  # fmt: skip
KINDS = {"web": "Deployment", "sts/web": "StatefulSet", "rs/web": "ReplicaSet"}


def prepare(namespace: str, words: tuple[str, ...]) -> None:
    """The workload that is swapped or used, with its pods."""
    if words == USED:
        apply(namespace, *manifest())
        until(lambda: [pod["status"]["phase"] for pod in objects("pods", "-n", namespace)]
              == ["Running"])  # fmt: skip
    elif kind := KINDS.get(words[1]):
        apply(namespace, workload("web", kind, replicas=1))
        until_ready(namespace, f"{kind.lower()}/web")


@pytest.mark.parametrize("words", OPERATIONS, ids=" ".join)
def test_with_inject_tcp(
    telepresence: Telepresence, namespace: str, words: tuple[str, ...]
) -> None:
    prepare(namespace, words)
    user = account(telepresence, namespace, *INJECT, *words)
    before = state(namespace)
    done = telepresence(*INJECT, "--namespace", namespace, *words, "--run", "true", env=user)
    assert done.code == 0, done.err
    assert "left behind" not in done.err
    until_state(namespace, before)
    other = ("-s", "sts/other") if words[0] == "-n" else ("-n", "t-role", "--expose", "1")
    refused = telepresence(*INJECT, "--namespace", namespace, *other, "--run", "true", env=user)
    assert refused.code == 255
    assert state(namespace) == before


def test_with_vpn_tcp(tmp_path: Path, namespace: str) -> None:
    """A Service and a pod of the namespace are reached, though no range may be looked up."""
    apply(namespace, workload("web", replicas=1), {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })  # fmt: skip
    until_ready(namespace, "deployment/web")
    (pod,) = objects("pods", "-n", namespace)
    look = "curl -sf -o /dev/null -o /dev/null -w '%{http_code} ' http://web http://"
    with lent(tmp_path, "-roles") as laptop:
        user = account(Telepresence(tmp_path), namespace, "-m", "vpn-tcp", "-n", "t-role")
        done = laptop("--namespace", namespace, "-n", "t-role", "--run", "sh", "-c",
                      f"{look}{pod['status']['podIP']}:8080", env=user)  # fmt: skip
    assert done.code == 0, done.err
    assert done.out == "200 200 "


@pytest.mark.parametrize("words", [("-s", "web"), USED], ids=" ".join)
def test_in_a_workloads_place_with_vpn_tcp(
    tmp_path: Path, namespace: str, words: tuple[str, ...]
) -> None:
    prepare(namespace, words)
    with lent(tmp_path, "-roles") as laptop:
        user = account(Telepresence(tmp_path), namespace, "-m", "vpn-tcp", *words)
        before = state(namespace)
        look = ("curl", "-sf", "-o", "/dev/null", "http://helloworld.default")
        done = laptop("--namespace", namespace, *words, "--run", *look, env=user)
    assert done.code == 0, done.err
    until_state(namespace, before)


@pytest.mark.usefixtures("engine_left_as_it_was")
@pytest.mark.parametrize("words", [("-s", "web"), USED], ids=" ".join)
def test_in_a_workloads_place_with_a_container(
    telepresence: Telepresence, namespace: str, words: tuple[str, ...]
) -> None:
    prepare(namespace, words)
    run = ("-m", "container", *words, *RUN, BASE, "true")
    user = account(telepresence, namespace, *run)
    before = state(namespace)
    done = telepresence("--namespace", namespace, *run, env=user)
    assert done.code == 0, done.err
    until_state(namespace, before)
