"""What each kind of workload makes of its object: template, selector, pods of its own."""

import pytest

from telepresence.cluster.api import Json
from telepresence.cluster.workload import KINDS, kind_named
from telepresence.cluster.workload.disturbers import bounded, gitops_hints
from telepresence.errors import UsageError
from telepresence.values import Workload


def found(**spec: object) -> Json:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}
    return {"metadata": {"name": "db", "uid": "u"}, "spec": {"template": template, **spec}}


def workload(kind: str) -> Workload:
    return Workload(
        kind=kind, name="db", path="", plural="", group="", uid="u", version="", replicas=1,
        selector="", template={},
    )  # fmt: skip


def pod(owner: Json | None, labels: Json | None = None, notes: Json | None = None) -> Json:
    owners = [{"controller": False, "uid": "u", "kind": "X", "name": "db"}]
    meta: Json = {"labels": labels or {}, "annotations": notes or {}, "ownerReferences": owners}
    if owner is not None:
        owners.append({**owner, "controller": True})
    return {"metadata": meta}


def test_deploymentconfigs_come_first_and_a_kind_has_all_its_names() -> None:
    names = [kind.name for kind in KINDS]
    assert names == ["DeploymentConfig", "Deployment", "StatefulSet", "ReplicaSet"]
    assert kind_named("sts") is kind_named("StatefulSet") is kind_named("statefulsets")
    with pytest.raises(UsageError, match="a daemonset cannot be swapped") as caught:
        kind_named("daemonset")
    assert "DeploymentConfig, Deployment" in caught.value.hint


def test_the_api_path_is_the_kinds() -> None:
    assert kind_named("dc").path("ns", "db") == (
        "/apis/apps.openshift.io/v1/namespaces/ns/deploymentconfigs/db"
    )


@pytest.mark.parametrize(("spec", "count"), [({}, 1), ({"replicas": 0}, 0), ({"replicas": 7}, 7)])
def test_replicas_that_are_not_said_are_one(spec: Json, count: int) -> None:
    assert kind_named("deploy").replicas(found(**spec)) == count


def test_a_selector_is_a_query() -> None:
    terms = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["c"]},
        {"key": "here", "operator": "Exists"},
        {"key": "gone", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "db"}, "matchExpressions": terms}
    asked = kind_named("deploy").selector(found(selector=selector))
    assert asked == "app=db,tier in (a,b),old notin (c),here,!gone"
    assert kind_named("dc").selector(found(selector={"name": "db"})) == "name=db"
    assert kind_named("dc").selector(found()) == "app=db"


def test_only_the_deployments_own_pods_are_its() -> None:
    deployment = kind_named("deploy")
    labels = {"pod-template-hash": "5f"}
    ours = pod({"kind": "ReplicaSet", "name": "db-5f", "uid": "rs"}, labels)
    assert deployment.owns(workload("Deployment"), ours)
    for other in (
        pod(None, labels),
        pod({"kind": "ReplicaSet", "name": "db-canary-5f", "uid": "rs"}, labels),
        pod({"kind": "Job", "name": "db-5f", "uid": "j"}, labels),
    ):
        assert not deployment.owns(workload("Deployment"), other)


@pytest.mark.parametrize("kind", ["sts", "rs"])
def test_pods_of_other_kinds_are_known_by_their_owners_uid(kind: str) -> None:
    assert kind_named(kind).owns(workload(kind), pod({"uid": "u"}))
    assert not kind_named(kind).owns(workload(kind), pod({"uid": "v"}))
    assert not kind_named(kind).owns(workload(kind), pod(None))


def test_pods_of_a_deploymentconfig_say_so_themselves() -> None:
    notes = {"openshift.io/deployment-config.name": "db"}
    owned = pod({"uid": "rc", "kind": "ReplicationController", "name": "db-3"}, None, notes)
    assert kind_named("dc").owns(workload("DeploymentConfig"), owned)
    assert not kind_named("dc").owns(workload("DeploymentConfig"), pod({"uid": "rc"}))


def test_a_template_is_a_copy() -> None:
    original = found()
    kind_named("deploy").template(original)["spec"]["containers"].clear()
    assert original["spec"]["template"]["spec"]["containers"]


def test_a_statefulsets_stand_in_is_its_first_pod() -> None:
    claims = [{"metadata": {"name": "data"}}]
    volumes = [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]
    original = found(serviceName="dbs", volumeClaimTemplates=claims, ordinals={"start": 3})
    original["spec"]["template"]["spec"]["volumes"] = volumes
    spec = kind_named("sts").template(original)["spec"]
    assert (spec["hostname"], spec["subdomain"]) == ("db-3", "dbs")
    assert spec["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-3"}},
    ]
    plain = kind_named("sts").template(found())["spec"]
    assert plain["hostname"] == "db-0"
    assert "volumes" not in plain


def test_a_replicaset_of_a_deployment_is_refused_with_its_owner() -> None:
    owned = found()
    owned["metadata"]["ownerReferences"] = [
        {"kind": "Deployment", "name": "web", "controller": True}
    ]
    with pytest.raises(UsageError, match="belongs to Deployment web") as caught:
        kind_named("rs").refuse(owned)
    assert "--swap-deployment web" in caught.value.hint
    kind_named("rs").refuse(found())


def test_an_autoscalers_bounds_hold_but_not_for_zero() -> None:
    scaler = {"spec": {"minReplicas": 2, "maxReplicas": 5}}
    assert [bounded(count, scaler) for count in (0, 1, 3, 9)] == [0, 2, 3, 5]
    assert bounded(9, {"spec": {"maxReplicas": 5}}) == 5
    assert bounded(1, None) == 1


@pytest.mark.parametrize(
    ("meta", "who"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
    ],
)
def test_a_gitops_controller_is_named_with_the_way_to_pause_it(meta: Json, who: str) -> None:
    (hint,) = gitops_hints("Deployment", {"metadata": {"name": "db", **meta}})
    assert f"Deployment db is kept by {who}" in hint
    assert "shop" in hint
    assert "to pause it: " in hint


def test_one_controller_is_told_once() -> None:
    both = {"labels": {"argocd.argoproj.io/instance": "s"},
            "annotations": {"argocd.argoproj.io/tracking-id": "s"}}  # fmt: skip
    assert len(gitops_hints("Deployment", {"metadata": {"name": "db", **both}})) == 1
    assert gitops_hints("Deployment", {"metadata": {"name": "db"}}) == []
