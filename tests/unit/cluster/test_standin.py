"""The pod that stands in: the template as it is, but for one container."""

import copy
from pathlib import Path

import pytest

from telepresence.cluster.api import Json
from telepresence.cluster.standin import MEMORY, standin_pod
from telepresence.values import Plan, Workload

# With every optional part that a template may have; what a container has that stays, first.
KEPT: Json = {
    "name": "app",
    "env": [{"name": "A", "value": "$(B)"}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "ports": [{"containerPort": 80, "hostPort": 8080}],
    "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "x", "readOnly": True}],
    "volumeDevices": [{"name": "disk", "devicePath": "/dev/x"}],
    "securityContext": {"runAsUser": 77, "capabilities": {"add": ["SYS_TIME"]}},
    "stdin": True,
    "tty": True,
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
}
REPLACED: Json = {
    "image": "app:1",
    "imagePullPolicy": "Always",
    "command": ["app"],
    "args": ["-x"],
    "workingDir": "/app",
    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
    "livenessProbe": {"tcpSocket": {"port": 80}},
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"tcpSocket": {"port": 80}},
    "terminationMessagePath": "/x",
    "terminationMessagePolicy": "File",
}
SIDECAR: Json = {"name": "side", "image": "side:1", "livenessProbe": {"exec": {"command": ["x"]}}}
POD: Json = {
    "volumes": [{"name": "data", "emptyDir": {}}],
    "initContainers": [{"name": "first", "image": "init:1"}],
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["foo.local"]}],
    "serviceAccount": "app",
    "serviceAccountName": "app",
    "affinity": {"nodeAffinity": {}},
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"disk": "ssd"},
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "high",
    "topologySpreadConstraints": [],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["192.0.2.53"]},
    "terminationGracePeriodSeconds": 300,
    "securityContext": {"fsGroup": 5, "seLinuxOptions": {"level": "s0"}},
    "shareProcessNamespace": True,
    "runtimeClassName": "r",
    "enableServiceLinks": False,
}
OWNER = {"kind": "Lease", "name": "l", "uid": "u", "controller": True}


def template() -> Json:
    containers = [copy.deepcopy({**KEPT, **REPLACED}), copy.deepcopy(SIDECAR)]
    spec = {**copy.deepcopy(POD), "containers": containers, "restartPolicy": "Always"}
    notes = {"note": "1", "container.apparmor.security.beta.kubernetes.io/app": "localhost/app"}
    return {"metadata": {"labels": {"app": "db"}, "annotations": notes}, "spec": spec}


def standin(made_from: Json, serviceaccount: str | None = None) -> Json:
    workload = Workload(
        kind="Deployment", name="db", path="", plural="", group="", uid="", version="", replicas=1,
        selector="", template=made_from,
    )  # fmt: skip
    plan = Plan(
        context="east", namespace="prod", kubectl="", pod_name="db-00", image="agent:1",
        session=bytes(16), secret=bytes(32), method="inject-tcp", shim=Path("/s"), program="",
        argv=(), is_shell=False, environ={}, container="app", user="ann@here", since="then",
        serviceaccount=serviceaccount, workload=workload,
    )  # fmt: skip
    return standin_pod(plan, workload, OWNER)


def test_all_of_the_template_that_is_not_the_program_stays() -> None:
    before = template()
    pod = standin(before)
    assert before == template(), "the template itself was changed"
    app, side = pod["spec"]["containers"]
    assert side == SIDECAR
    assert {key: app[key] for key in KEPT} == KEPT
    assert {key: pod["spec"][key] for key in POD} == POD
    assert pod["metadata"]["labels"] == {"app": "db", "telepresence": "00" * 16}
    assert pod["metadata"]["annotations"]["note"] == "1"


def test_the_program_is_the_agent() -> None:
    pod = standin(template())
    app = pod["spec"]["containers"][0]
    gone = REPLACED.keys() - {"image", "imagePullPolicy", "args", "terminationMessagePolicy"}
    assert not gone & app.keys()
    assert (app["image"], app["imagePullPolicy"]) == ("agent:1", "IfNotPresent")
    assert app["args"][0] == f"--session={'00' * 16}"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["metadata"]["name"] == "db-00"
    assert pod["metadata"]["ownerReferences"] == [OWNER]
    assert pod["metadata"]["annotations"]["telepresence.io/by"] == "ann@here"


def test_another_service_account_wins_under_both_of_its_names() -> None:
    spec = standin(template(), "robot")["spec"]
    assert spec["serviceAccountName"] == "robot"
    assert "serviceAccount" not in spec


@pytest.mark.parametrize(
    ("limit", "given"),
    [("16Mi", MEMORY), ("100M", MEMORY), ("1e3", MEMORY), ("1000", MEMORY), ("1000m", MEMORY),
     ("256Mi", "256Mi"), ("1Gi", "1Gi"), ("1e9", "1e9"), ("1G", "1G"), (10**9, 10**9)],
)  # fmt: skip
def test_a_memory_limit_has_room_for_the_agent(limit: object, given: object) -> None:
    made = template()
    made["spec"]["containers"][0]["resources"]["limits"]["memory"] = limit
    resources = standin(made)["spec"]["containers"][0]["resources"]
    assert resources["limits"]["memory"] == given
    assert resources["requests"] == {"cpu": "1"}


def test_profiles_made_for_the_other_program_give_way_and_the_user_stays() -> None:
    made = template()
    profile = {"type": "Localhost", "localhostProfile": "x"}
    made["spec"]["containers"][0]["securityContext"] |= {"seccompProfile": profile}
    made["spec"]["securityContext"] |= {"appArmorProfile": profile, "runAsGroup": 9}
    pod = standin(made)
    default = {"type": "RuntimeDefault"}
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context == {**KEPT["securityContext"], "seccompProfile": default}
    assert pod["spec"]["securityContext"]["appArmorProfile"] == default
    assert pod["spec"]["securityContext"]["runAsGroup"] == 9
    assert pod["metadata"]["annotations"].keys() == {
        "note", "telepresence.io/by", "telepresence.io/since",
    }  # fmt: skip


def test_a_bare_template_will_do() -> None:
    pod = standin({"spec": {"containers": [{"name": "app", "image": "x"}]}})
    assert pod["metadata"]["labels"] == {"telepresence": "00" * 16}
