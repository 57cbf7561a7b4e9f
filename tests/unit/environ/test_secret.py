"""Which values of a pod's environment the log hides."""

from typing import Any

from telepresence.environ.secret import secret_values
from telepresence.values import Workload


def workload(**container: Any) -> Workload:
    containers = [{"name": "other", "env": []}, {"name": "app", **container}]
    return Workload(
        kind="Deployment", name="web", path="", plural="deployments", group="apps", uid="",
        version="", replicas=1, selector="", template={"spec": {"containers": containers}},
    )  # fmt: skip


def values(environ: dict[bytes, bytes], **container: Any) -> set[str]:
    return set(secret_values(workload(**container), "app", environ))


def reference(kind: str) -> dict[str, Any]:
    return {"valueFrom": {f"{kind}KeyRef": {"name": "n", "key": "k"}}}


def test_values_with_a_secrets_key_are_secret_and_others_are_not() -> None:
    env = [{"name": "A", **reference("secret")}, {"name": "B", **reference("configMap")},
           {"name": "C", "value": "plain"}]  # fmt: skip
    environ = {b"A": b"hunter2\xff", b"B": b"config", b"C": b"plain", b"D": b"else"}
    assert values(environ, env=env) == {"hunter2\udcff"}


def test_where_a_whole_secret_is_taken_in_all_that_is_not_named_counts() -> None:
    sources = [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}]
    environ = {b"KEY": b"hunter2", b"C": b"plain", b"HOSTNAME": b"web-1", b"PATH": b"/bin",
               b"WEB_SERVICE_PORT_HTTP": b"80", b"WEB_PORT_80_TCP_ADDR": b"10.0.0.1"}  # fmt: skip
    assert values(environ, envFrom=sources, env=[{"name": "C", "value": "x"}]) == {"hunter2"}


def test_a_prefix_narrows_it() -> None:
    sources = [{"prefix": "DB_", "secretRef": {"name": "s"}}]
    assert values({b"DB_KEY": b"hunter2", b"KEY": b"plain"}, envFrom=sources) == {"hunter2"}


def test_a_new_pod_has_none() -> None:
    assert list(secret_values(None, "telepresence", {b"A": b"hunter2"})) == []
