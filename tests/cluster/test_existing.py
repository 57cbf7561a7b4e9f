"""A workload that runs the agent already is used, and stays as it is: the one of the manual."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from rig import Telepresence, kubectl
from test_ports import SERVER, addresses, free_port
from workloads import Json, apply, get, state, until, until_ready, workload

INJECT = ("-m", "inject-tcp")
MANUAL = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def manifest() -> list[Json]:
    """As the manual has it."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", MANUAL.read_text(), re.S | re.M)
    return list(yaml.safe_load_all(text))


@pytest.fixture
def proxy(namespace: str) -> str:
    """The namespace, with the manual's workload; its pod runs, and is not ready."""
    deployment, service = manifest()
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "COLOUR", "value": "blue"}]
    container["volumeMounts"] = [{"name": "info", "mountPath": "/info"}]
    deployment["spec"]["template"]["spec"]["volumes"] = [
        {"name": "info", "configMap": {"name": "info"}}
    ]
    service["spec"]["ports"][0]["name"] = "http"
    apply(namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "info"},
                      "data": {"who": "proxy"}}, deployment, service)  # fmt: skip

    def runs() -> bool:
        pods = json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
        return [pod["status"]["phase"] for pod in pods] == ["Running"]

    until(runs)
    return namespace


def test_one_laptop_after_another_has_its_environment_volumes_and_names(
    telepresence: Telepresence, proxy: str
) -> None:
    before = state(proxy)
    words = (*INJECT, "--namespace", proxy, "-d", "proxy", "--run", "sh", "-c")
    script = "echo $COLOUR; cat $TELEPRESENCE_ROOT/info/who; echo; curl -s helloworld.default"
    for _ in range(3):
        done = telepresence(*words, script)
        lines = done.out.splitlines()
        assert lines[:2] == ["blue", "proxy"], done.err
        assert lines[2].startswith("Hello, world!")
        assert done.code == 0
    assert state(proxy) == before
    logs = ("logs", "-n", proxy, "deployment/proxy")
    until(lambda: kubectl(*logs).count("waiting for the next") == 3, 20)
    assert get(proxy, "deployment/proxy")["status"].get("readyReplicas", 0) == 0


def test_its_service_leads_here_while_somebody_listens(
    telepresence: Telepresence, proxy: str
) -> None:
    port = free_port()
    assert addresses(proxy, "proxy") == []
    words = (*INJECT, "--namespace", proxy, "-d", "deploy/proxy:agent", "--expose", f"{port}:8080")
    command = (sys.executable, "-c", SERVER, str(port), "127.0.0.1")
    with telepresence.running(*words, "--run", *command):
        until(lambda: len(addresses(proxy, "proxy")) == 1, 30)
        asked = kubectl("exec", "-n", "default", "deployment/bench", "--", "curl", "-sS", "-m", "5",
                        f"http://proxy.{proxy}/x")  # fmt: skip
        assert asked == "laptop /x"
    until(lambda: addresses(proxy, "proxy") == [], 20)


def test_the_second_is_refused_with_the_firsts_name_and_comes_when_it_has_gone(
    telepresence: Telepresence, proxy: str
) -> None:
    words = (*INJECT, "--namespace", proxy, "-d", "proxy")
    second = Telepresence(telepresence.directory / "second")
    second.directory.mkdir()
    with telepresence.running(*words, "--run", "sleep", "60", env={"LOGNAME": "ann"}) as first:
        telepresence.wait_log("stage: process started")
        done = second(*words, "--run", "true")
        assert done.code == 255
        assert re.search(r"refuses: it is used by ann@\S+ since 20\S+Z$", done.said[0])
        assert first.poll() is None
    assert second(*words, "--run", "true").code == 0
    assert get(proxy, "deployment/proxy")["spec"]["replicas"] == 1


def test_a_workload_without_the_agent_is_refused(
    telepresence: Telepresence, namespace: str
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    before = state(namespace)
    done = telepresence(*INJECT, "--namespace", namespace, "-d", "web", "--run", "true")
    assert done.code == 2
    assert "Deployment web does not run the agent" in done.said[0]
    assert len(done.said) == 1
    assert state(namespace) == before


def test_the_pod_is_deleted_meanwhile(telepresence: Telepresence, proxy: str) -> None:
    words = (*INJECT, "--namespace", proxy, "-d", "proxy", "--run", "sleep", "60")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        kubectl("delete", "pods", "-n", proxy, "-l", "app=proxy", "--wait=false")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 255
    assert "was deleted by somebody else" in err or "ended with exit code" in err
