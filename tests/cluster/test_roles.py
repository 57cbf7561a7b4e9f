"""Each method and operation with exactly the Role that `telepresence rbac` prints for it."""

from pathlib import Path

import pytest

from laptop import lent
from rig import Telepresence, objects
from roles import account
from workloads import apply, state, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
OPERATIONS = [("-n", "t-role"), ("-n", "t-role", "--expose", "8080"), ("-s", "web"),
              ("-s", "sts/web"), ("-s", "rs/web", "--expose", "8080")]  # fmt: skip


@pytest.mark.parametrize("words", OPERATIONS, ids=" ".join)
def test_with_inject_tcp(
    telepresence: Telepresence, namespace: str, words: tuple[str, ...]
) -> None:
    kind = {"web": "Deployment", "sts/web": "StatefulSet", "rs/web": "ReplicaSet"}.get(words[1])
    if kind is not None:
        apply(namespace, workload("web", kind, replicas=1))
        until_ready(namespace, f"{kind.lower()}/web")
    user = account(telepresence, namespace, *INJECT, *words)
    before = state(namespace)
    done = telepresence(*INJECT, "--namespace", namespace, *words, "--run", "true", env=user)
    assert done.code == 0, done.err
    assert "left behind" not in done.err
    until_state(namespace, before)
    other = ("-n", "t-role", "--expose", "1") if kind else ("-s", "sts/other")
    refused = telepresence(*INJECT, "--namespace", namespace, *other, "--run", "true", env=user)
    assert refused.code == 255
    assert not objects("leases,services", "-n", namespace)


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
