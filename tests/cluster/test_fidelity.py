"""The pod that stands in is the workload's own, but for what of one container has to differ."""

import copy
import json
from collections.abc import Iterator

import pytest

from rig import Telepresence, kubectl
from test_ports import free_port
from workloads import IMAGE, Json, apply, get, until_ready, workload

INJECT = ("-m", "inject-tcp")
# Of the replaced container; what the agent brings instead is asserted below.
REPLACED = {"image", "imagePullPolicy", "command", "args", "workingDir", "lifecycle",
            "livenessProbe", "readinessProbe", "startupProbe", "terminationMessagePath",
            "terminationMessagePolicy"}  # fmt: skip


def probe() -> Json:
    return {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}, "periodSeconds": 1}


def hook() -> Json:
    return {"exec": {"command": ["true"]}}


def main_container() -> Json:
    return {
        "name": "app", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["python3"], "args": ["-m", "http.server", "8080"], "workingDir": "/tmp",
        "env": [
            {"name": "VALUE", "value": "plain"},
            {"name": "EXPANDED", "value": "$(VALUE) twice"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {
                "containerName": "app", "resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": "all", "key": "word"}}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {
                "name": "all", "key": "word", "optional": True}}},
        ],
        "envFrom": [{"prefix": "ALL_", "configMapRef": {"name": "all"}},
                    {"secretRef": {"name": "none", "optional": True}}],
        "ports": [{"name": "web", "containerPort": 8080, "protocol": "TCP"},
                  {"name": "dns", "containerPort": 5353, "protocol": "UDP"}],
        "volumeMounts": [
            {"name": "empty", "mountPath": "/empty", "mountPropagation": "None"},
            {"name": "config", "mountPath": "/config/word", "subPath": "word", "readOnly": True},
            {"name": "empty", "mountPath": "/by-name", "subPathExpr": "$(VALUE)"},
            {"name": "all", "mountPath": "/all"},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"},
                      "limits": {"cpu": "1", "memory": "300Mi", "ephemeral-storage": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}, "privileged": False,
                            "runAsNonRoot": True},
        "livenessProbe": probe(), "readinessProbe": probe(), "startupProbe": probe(),
        "lifecycle": {"postStart": hook(), "preStop": hook()},
        "terminationMessagePath": "/tmp/last-words", "terminationMessagePolicy": "File",
        "stdin": True, "tty": True,
    }  # fmt: skip


def volumes() -> list[Json]:
    return [
        {"name": "empty", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        {"name": "config", "configMap": {
            "name": "all", "defaultMode": 0o440,
            "items": [{"key": "word", "path": "word", "mode": 0o444}]}},
        {"name": "all", "projected": {"defaultMode": 0o444, "sources": [
            {"serviceAccountToken": {"audience": "x", "expirationSeconds": 3600,
                                     "path": "token"}},
            {"downwardAPI": {"items": [{
                "path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"configMap": {"name": "all"}},
            {"secret": {"name": "none", "optional": True}}]}},
        {"name": "node", "hostPath": {"path": "/tmp", "type": "Directory"}},
    ]  # fmt: skip


def maximal(namespace: str) -> Json:
    """A Deployment with every optional part that a server of any version takes on one node."""
    plain = {"image": IMAGE, "imagePullPolicy": "IfNotPresent"}
    term = {"labelSelector": {"matchLabels": {"app": "all"}},
            "topologyKey": "kubernetes.io/hostname"}  # fmt: skip
    here = {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In",
                                  "values": ["linux"]}]}  # fmt: skip
    made = workload("all", replicas=1)
    made["spec"]["template"] = {
        "metadata": {"labels": {"app": "all", "tier": "x"}, "annotations": {"note": "kept"}},
        "spec": {
            "initContainers": [{**plain, "name": "first", "command": ["true"]}],
            "containers": [
                main_container(),
                {**plain, "name": "beside", "command": ["sleep", "1000"],
                 "livenessProbe": hook(), "lifecycle": {"preStop": hook()}},
            ],
            "volumes": volumes(),
            "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["one.local", "two.local"]}],
            "hostname": "first-of-all", "subdomain": "all",
            "serviceAccountName": "robot", "automountServiceAccountToken": True,
            "imagePullSecrets": [{"name": "pull"}],
            "securityContext": {"runAsUser": 1234, "runAsGroup": 2345, "fsGroup": 3456,
                                "supplementalGroups": [4567], "runAsNonRoot": True,
                                "fsGroupChangePolicy": "OnRootMismatch",
                                "seccompProfile": {"type": "RuntimeDefault"},
                                "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                                 {"nodeSelectorTerms": [here]}},
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                                    [{"weight": 1, "podAffinityTerm": term}]},
            },
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "x", "operator": "Exists", "effect": "NoExecute",
                             "tolerationSeconds": 60}],
            "topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
                                           **term}],
            "priorityClassName": namespace,
            "dnsPolicy": "ClusterFirst",
            "dnsConfig": {"options": [{"name": "ndots", "value": "3"}],
                          "searches": ["default.svc.cluster.local"]},
            "enableServiceLinks": False, "shareProcessNamespace": True,
            "terminationGracePeriodSeconds": 1, "schedulerName": "default-scheduler",
            "restartPolicy": "Always",
        },
    }  # fmt: skip
    return made


@pytest.fixture
def everything(namespace: str) -> Iterator[str]:
    """The namespace of such a workload."""
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 7,
                "metadata": {"name": namespace}, "preemptionPolicy": "Never"}  # fmt: skip
    kubectl("create", "-f", "-", stdin=json.dumps(priority))
    try:
        kubectl("create", "serviceaccount", "robot", "-n", namespace)
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "all"},
                  "data": {"word": "value"}}  # fmt: skip
        apply(namespace, config, maximal(namespace))
        until_ready(namespace, "deployment/all")
        yield namespace
    finally:
        kubectl("delete", "priorityclass", namespace)


LOOK = """
echo $VALUE, $EXPANDED, $LIMIT, $CONFIG, $ALL_word
getent hosts two.local
echo $(cat $TELEPRESENCE_ROOT/config/word) $(cat $TELEPRESENCE_ROOT/all/labels)
kubectl get pods -n $0 -l telepresence -o json
"""


def without_chance(spec: Json) -> Json:
    """Without what the cluster itself adds by chance: the name of a token's volume."""
    text = json.dumps(spec)
    for volume in spec["volumes"]:
        if volume["name"].startswith(("kube-api-access-", "robot-token-")):
            text = text.replace(volume["name"], "token")
    seen: Json = json.loads(text)
    return seen


def test_a_template_with_every_optional_field_is_copied(
    telepresence: Telepresence, everything: str
) -> None:
    (own,) = json.loads(kubectl("get", "pods", "-n", everything, "-o", "json"))["items"]
    words = (*INJECT, "--namespace", everything, "-s", "all", "--no-ready-when-listening")
    done = telepresence(*words, "--run", "sh", "-c", LOOK, everything)
    assert done.code == 0, done.err
    values, alias, labels, *listed = done.out.splitlines()
    assert values == "plain, plain twice, 300, value, value"
    assert alias.split()[0] == "192.0.2.7"
    assert labels.startswith('value app="all"')
    (standin,) = json.loads("".join(listed[listed.index("{") :]))["items"]
    wanted, seen = without_chance(own["spec"]), without_chance(standin["spec"])
    agent, replaced = seen["containers"].pop(0), wanted["containers"].pop(0)
    assert seen == {**wanted, "restartPolicy": "Never"}
    for field in REPLACED:
        replaced.pop(field)
    kept = copy.deepcopy(agent)
    for field in REPLACED & kept.keys():
        kept.pop(field)
    assert kept == replaced
    assert agent["args"][0].startswith("--session=")
    assert (
        not {"command", "workingDir", "lifecycle", "livenessProbe", "startupProbe"} & agent.keys()
    )
    labels = standin["metadata"]["labels"]
    assert {"app": "all", "tier": "x"}.items() <= labels.items()
    assert standin["metadata"]["annotations"]["note"] == "kept"


def test_a_stand_in_waits_for_the_port_of_the_node_that_the_old_pod_has(
    telepresence: Telepresence, namespace: str
) -> None:
    """Longer than a pod that finds no room is waited for otherwise."""
    made = workload("web", replicas=1, strategy={"type": "Recreate"})
    spec = made["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 7
    spec["containers"][0]["command"] = ["sleep", "1000"]  # hears no SIGTERM as process 1
    spec["containers"][0]["ports"] = [{"containerPort": 8080, "hostPort": free_port()}]
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "web", "--run", "true")
    assert done.code == 0, done.err
    assert done.seconds > 7
    assert get(namespace, "deployment/web")["spec"]["replicas"] == 1


def test_pull_secrets_are_the_pods(telepresence: Telepresence, namespace: str) -> None:
    look = ["kubectl", "get", "pods", "-n", namespace, "-l", "telepresence", "-o",
            "jsonpath={.items[0].spec.imagePullSecrets}"]  # fmt: skip
    words = (*INJECT, "--namespace", namespace, "--image-pull-secret", "a")
    done = telepresence(*words, "--image-pull-secret", "b", "--run", *look)
    assert json.loads(done.out) == [{"name": "a"}, {"name": "b"}], done.err
