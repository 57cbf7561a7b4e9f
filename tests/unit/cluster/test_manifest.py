"""The pod that is asked for: restricted, and without the session's secret."""

import dataclasses
import hashlib
import json
from pathlib import Path

from telepresence.cluster.manifest import allow_pull, proxy_pod, service
from telepresence.values import Plan, Port

PLAN = Plan(
    context="east",
    namespace="prod",
    kubectl="/usr/bin/kubectl",
    pod_name="quickstart",
    image="r:5000/telepresence-agent:1",
    session=bytes(range(16)),
    secret=bytes(range(100, 132)),
    method="inject-tcp",
    shim=Path("/opt/shim.so"),
    program="/bin/sh",
    argv=("sh",),
    is_shell=True,
    environ={"PASSWORD": "hunter2"},
    resume_timeout_s=60.0,
)


def test_the_pod_is_the_plans() -> None:
    pod = proxy_pod(PLAN)
    (container,) = pod["spec"]["containers"]
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert pod["metadata"]["name"] == "quickstart"
    assert pod["metadata"]["namespace"] == "prod"
    assert pod["metadata"]["labels"] == {"telepresence": PLAN.session.hex()}
    assert container["image"] == "r:5000/telepresence-agent:1"
    assert pod["spec"]["restartPolicy"] == "Never"


def test_the_agent_is_told_session_digest_and_resume_time() -> None:
    pod = proxy_pod(dataclasses.replace(PLAN, resume_timeout_s=2.5))
    assert pod["spec"]["containers"][0]["args"] == [
        "--session=000102030405060708090a0b0c0d0e0f",
        f"--secret-sha256={hashlib.sha256(PLAN.secret).hexdigest()}",
        "--resume-timeout=2.5",
    ]


def test_neither_the_secret_nor_the_laptops_environment_is_in_it() -> None:
    written = json.dumps(proxy_pod(PLAN))
    assert PLAN.secret.hex() not in written
    assert "hunter2" not in written


def test_it_passes_pod_security_restricted() -> None:
    """Kubernetes, "Pod Security Standards", the controls of Restricted."""
    spec = proxy_pod(PLAN)["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & spec.keys()
    context = spec["containers"][0]["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "privileged" not in context


def test_memory_has_a_limit_and_cpu_has_none() -> None:
    resources = proxy_pod(PLAN)["spec"]["containers"][0]["resources"]
    assert "memory" in resources["limits"]
    assert "cpu" not in resources["limits"]


def test_a_port_below_1024_is_allowed_as_the_server_can() -> None:
    setting = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    pod = proxy_pod(dataclasses.replace(PLAN, low_ports="sysctl"))["spec"]
    assert pod["securityContext"]["sysctls"] == [setting]
    assert pod["containers"][0]["securityContext"]["runAsNonRoot"] is True
    pod = proxy_pod(dataclasses.replace(PLAN, low_ports="root"))["spec"]
    context = pod["containers"][0]["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"]) == (0, False)
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert context["readOnlyRootFilesystem"] is True


def test_readiness_is_asked_for_only_when_it_follows_the_laptop() -> None:
    assert "readinessProbe" not in proxy_pod(PLAN)["spec"]["containers"][0]
    made = proxy_pod(dataclasses.replace(PLAN, ready_when_listening=True))
    assert made["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] == 9041


def test_the_service_has_the_pods_name_and_a_port_for_each() -> None:
    made = service(dataclasses.replace(PLAN, expose=(Port(laptop=8080, pod=80),)))
    assert made["metadata"]["name"] == "quickstart"
    assert made["spec"]["selector"] == {"telepresence": PLAN.session.hex()}
    assert made["spec"]["ports"] == [{"name": "port-80", "port": 80, "targetPort": 80}]


def test_pull_secrets_are_named_once() -> None:
    assert "imagePullSecrets" not in proxy_pod(PLAN)["spec"]
    plan = dataclasses.replace(PLAN, image_pull_secrets=("a", "b"))
    assert proxy_pod(plan)["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    spec = {"imagePullSecrets": [{"name": "b"}, {"name": "own"}]}
    allow_pull(plan, spec)
    assert [one["name"] for one in spec["imagePullSecrets"]] == ["b", "own", "a"]
