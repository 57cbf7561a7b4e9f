"""Where the ranges of a real API server come from, in the order in which they are asked for.

ServiceCIDR objects, which come first, are newer than the sandbox's Kubernetes, and no
CustomResourceDefinition can take the place of a built-in group: tests/unit has them.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from rig import kubectl, objects
from telepresence.cluster import api, ranges
from telepresence.values import Ranges


def observed() -> Ranges:
    async def ask() -> Ranges:
        connection = await api.connect(None, None)
        try:
            return await ranges.observe_ranges(connection)
        finally:
            await connection.close()

    return asyncio.run(ask())


@contextlib.contextmanager
def made(item: dict[str, Any], *words: str) -> Iterator[None]:
    kubectl("create", *words, "-f", "-", stdin=json.dumps(item))
    try:
        yield
    finally:
        kubectl("delete", *words, "-f", "-", "--wait", "--now", stdin=json.dumps(item))


def api_server_pod(**words: list[str]) -> dict[str, Any]:
    """As kubeadm's static pod; it is never scheduled."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"test-kube-apiserver-{os.getpid()}",
            "labels": {"component": "kube-apiserver"},
        },
        "spec": {
            "nodeSelector": {"test": "nowhere"},
            "containers": [{"name": "main", "image": "none", **words}],
        },
    }


@pytest.fixture
def sandbox() -> None:
    if objects("configmaps", "-n", "kube-system", "--field-selector=metadata.name=kubeadm-config"):
        pytest.skip("this cluster is kubeadm's own; only the sandbox's ranges may be played with")


def test_the_refusal_names_the_range_and_nothing_is_created(sandbox: None) -> None:
    before = {each["metadata"]["uid"] for each in objects("services", "-A")}
    found = observed()
    assert found.services == ("10.96.0.0/16",)
    assert found.pods
    assert found.servers
    assert found.nodes
    left = [each for each in objects("services", "-A") if each["metadata"]["uid"] not in before]
    assert not [each for each in left if "telepresence-range" in each["metadata"]["name"]]


def test_each_better_source_is_believed_first(sandbox: None) -> None:
    config = "networking:\n  serviceSubnet: 10.201.0.0/16\n"
    kubeadm = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubeadm-config"},
        "data": {"ClusterConfiguration": config},
    }  # fmt: skip
    flag = "--service-cluster-ip-range"
    system = ("-n", "kube-system")
    with made(kubeadm, *system):
        assert observed().services == ("10.201.0.0/16",)
        with made(api_server_pod(command=["kube-apiserver", f"{flag}=10.202.0.0/16"]), *system):
            assert observed().services == ("10.202.0.0/16",)
        with made(api_server_pod(args=[flag, "10.203.0.0/16,fd00:3::/112"]), *system):
            assert observed().services == ("10.203.0.0/16", "fd00:3::/112")
