"""A workload is swapped: its copy stands in, and at the end everything is as it was."""

import json

import pytest

from rig import Telepresence, kubectl, objects
from workloads import apply, get, state, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")


@pytest.fixture
def web(namespace: str) -> str:
    """The namespace, with a Deployment of two pods and its Service."""
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }  # fmt: skip
    apply(namespace, workload("web"), service)
    until_ready(namespace, "deployment/web")
    return namespace


LOOK = """
import json, subprocess, sys
what = json.loads(subprocess.check_output(
    ["kubectl", "get", "-n", sys.argv[1], sys.argv[2] + ",pods,leases", "-o", "json"]))
print(json.dumps(what["items"]))
"""


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_a_workload_is_at_zero_meanwhile_and_as_before_at_the_end(
    telepresence: Telepresence, namespace: str, kind: str
) -> None:
    apply(namespace, workload("db", kind))
    until_ready(namespace, f"{kind.lower()}/db")
    before = state(namespace)
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "db", "--run", "python3", "-c",
                        LOOK, namespace, f"{kind.lower()}s")  # fmt: skip
    assert done.code == 0, done.err
    seen = {(item["kind"], item["metadata"]["name"]): item for item in json.loads(done.out)}
    (pod,) = (item for (what, _), item in seen.items() if what == "Pod"
              and item["status"]["phase"] == "Running")  # fmt: skip
    assert pod["metadata"]["labels"]["app"] == "db"
    assert pod["metadata"]["labels"].keys() >= {"telepresence"}
    swapped = seen[kind, "db"]
    assert swapped["spec"]["replicas"] == 0
    assert swapped["metadata"]["labels"] == {
        "telepresence": pod["metadata"]["labels"]["telepresence"],
        "telepresence.io/replicas": "2",
    }
    assert ("Lease", f"telepresence-{kind.lower()}-db") in seen
    until_ready(namespace, f"{kind.lower()}/db")
    until_state(namespace, before)


def test_the_named_container_is_replaced_and_the_others_run(
    telepresence: Telepresence, namespace: str
) -> None:
    made = workload("web", replicas=1)
    containers = made["spec"]["template"]["spec"]["containers"]
    containers.append({**containers[0], "name": "two", "env": [{"name": "WHO", "value": "two"}],
                       "command": ["sleep", "1000"]})  # fmt: skip
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    words = (*INJECT, "--namespace", namespace, "-s", "web:two", "--run", "sh", "-c")
    done = telepresence(*words, "echo $WHO; curl -s -o /dev/null -w %{http_code} "
                        "http://web-two-test 2>/dev/null; kubectl get pods "
                        f"-n {namespace} -l telepresence -o jsonpath='{{..image}}'")  # fmt: skip
    assert done.out.startswith("two\n"), done.err
    assert "sandbox-base" in done.out
    assert "telepresence-agent" in done.out
    unknown = telepresence(*INJECT, "--namespace", namespace, "-s", "web:three", "--run", "true")
    assert unknown.code == 2
    assert "has no container three; it has: app, two" in unknown.said[0]
    assert len(unknown.said) == 1


@pytest.mark.parametrize("target", ["no-such", "deploy/no-such", "rs/no-such:x"])
def test_a_workload_that_is_not_there(
    telepresence: Telepresence, namespace: str, target: str
) -> None:
    done = telepresence("--namespace", namespace, "-s", target, "--run", "true")
    assert done.code == 2
    assert "no-such in namespace" in done.said[0]
    assert len(done.said) == 1


def test_the_second_who_swaps_is_refused_with_the_firsts_name(
    telepresence: Telepresence, web: str
) -> None:
    words = (*INJECT, "--namespace", web, "-s", "web")
    with telepresence.running(*words, "--run", "sleep", "60") as first:
        telepresence.wait_log("stage: process started")
        second = Telepresence(telepresence.directory / "second")
        second.directory.mkdir()
        done = second(*words, "--run", "true", env={"LOGNAME": "eve"})
        assert done.code == 255
        assert "Deployment web is swapped by" in done.said[0]
        assert first.poll() is None
        assert get(web, "deployment/web")["spec"]["replicas"] == 0
    until_ready(web, "deployment/web")
    assert get(web, "deployment/web")["spec"]["replicas"] == 2


def test_what_others_do_meanwhile_is_told_and_stays(telepresence: Telepresence, web: str) -> None:
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sh", "-c", "read x")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        kubectl("scale", "-n", web, "deployment/web", "--replicas=3")
        kubectl("label", "-n", web, "deployment/web", "edited=yes")
        telepresence.wait_log("was scaled to 3 by somebody else")
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    found = get(web, "deployment/web")
    assert found["spec"]["replicas"] == 3
    assert found["metadata"]["labels"] == {"edited": "yes"}


def test_a_controller_that_scales_back_is_told_by_its_name(
    telepresence: Telepresence, web: str
) -> None:
    """As a GitOps controller does, by server-side apply."""
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sh", "-c", "read x")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        who = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
        kubectl("apply", "-n", web, *who, "-f", "-", stdin=json.dumps(workload("web", replicas=1)))
        telepresence.wait_log("Deployment web was scaled to 1 by argocd-controller")
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    assert "share its traffic until it is at 0 again" in err
    found = get(web, "deployment/web")
    assert found["spec"]["replicas"] == 1
    assert "labels" not in found["metadata"]


def test_a_workload_that_is_deleted_meanwhile(telepresence: Telepresence, web: str) -> None:
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sh", "-c", "read x")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        kubectl("delete", "-n", web, "deployment/web")
        telepresence.wait_log("was deleted by somebody else")
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    assert "left behind" not in err
    assert not objects("deployments,leases", "-n", web)


def test_an_autoscalers_bounds_hold_for_what_is_given_back(
    telepresence: Telepresence, web: str
) -> None:
    scaler = {
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"minReplicas": 1, "maxReplicas": 5,
                 "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }  # fmt: skip
    versions = kubectl("api-versions").split()
    policy = "policy/v1" if "policy/v1" in versions else "policy/v1beta1"  # Kubernetes 1.20
    budget = {"apiVersion": policy, "kind": "PodDisruptionBudget",
              "metadata": {"name": "web"},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}  # fmt: skip
    apply(web, scaler, budget)
    kubectl("label", "-n", web, "deployment/web", "argocd.argoproj.io/instance=shop")
    raise_minimum = ["kubectl", "patch", "-n", web, "hpa/web", "-p", '{"spec": {"minReplicas": 4}}']
    done = telepresence(*INJECT, "--namespace", web, "-s", "web", "--run", *raise_minimum)
    assert done.code == 0, done.err
    assert get(web, "deployment/web")["spec"]["replicas"] == 4
    hints = "\n".join(done.said)
    assert "the autoscaler web pauses" in hints
    assert "kept by Argo CD" in hints
    assert "PodDisruptionBudget web" in hints


def test_old_pods_are_gone_before_the_command_runs(
    telepresence: Telepresence, namespace: str
) -> None:
    slow = workload("web", replicas=1)
    spec = slow["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 4
    spec["containers"][0]["command"] = ["sleep", "1000"]  # hears no SIGTERM as process 1
    apply(namespace, slow)
    until_ready(namespace, "deployment/web")
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "web", "--run", "kubectl", "get",
                        "pods", "-n", namespace, "--field-selector=status.phase=Running",
                        "-o", "name")  # fmt: skip
    assert len(done.out.splitlines()) == 1, done.out + done.err
    assert done.seconds > 4


def test_the_stand_in_is_deleted_by_hand(telepresence: Telepresence, web: str) -> None:
    words = (*INJECT, "--namespace", web, "-s", "web", "--run", "sleep", "60")
    with telepresence.running(*words) as process:
        telepresence.wait_log("stage: process started")
        (pod,) = objects("pods", "-n", web, "-l", "telepresence")
        kubectl("delete", "pod", "-n", web, pod["metadata"]["name"], "--now", "--wait=false")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 255
    assert pod["metadata"]["name"] in err
    assert get(web, "deployment/web")["spec"]["replicas"] == 2


def test_a_service_account_for_the_stand_in(telepresence: Telepresence, web: str) -> None:
    kubectl("create", "serviceaccount", "robot", "-n", web)
    look = ["kubectl", "get", "pods", "-n", web, "-l", "telepresence",
            "-o", "jsonpath={.items[0].spec.serviceAccountName}"]  # fmt: skip
    words = (*INJECT, "--namespace", web, "-s", "web", "--serviceaccount")
    assert telepresence(*words, "robot", "--run", *look).out == "robot"
    missing = telepresence(*words, "nobody", "--run", "true")
    assert missing.code == 255
    assert "nobody" in missing.said[0]
    assert get(web, "deployment/web")["spec"]["replicas"] == 2
    assert not objects("leases", "-n", web)
