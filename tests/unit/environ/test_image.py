"""Which variables of an old pod's container are its image's."""

from typing import Any

from telepresence.environ.image import with_image
from telepresence.values import Endpoints, Workload

TEMPLATE: dict[str, Any] = {"spec": {"containers": [
    {"name": "app", "env": [{"name": "OPTIONAL", "valueFrom": {}}, {"name": "SET", "value": "1"}]},
    {"name": "other"},
]}}  # fmt: skip
WORKLOAD = Workload(
    kind="Deployment", name="web", path="", plural="deployments", group="apps", uid="", version="",
    replicas=1, selector="", template=TEMPLATE,
)  # fmt: skip
NOW = {b"SET": b"1", b"POD_NAME": b"new", b"WEB_SERVICE_HOST": b"10.0.0.1"}


def taken(old: dict[bytes, bytes], container: str = "app") -> dict[bytes, bytes]:
    made = with_image(Endpoints(environ=NOW), WORKLOAD, container, old).environ
    assert made.items() >= NOW.items()
    return {key: value for key, value in made.items() if key not in NOW}


def test_what_the_new_pod_has_not_is_the_images_byte_for_byte() -> None:
    images = {b"VERSION": b"3.9", b"LINES": b"one\ntwo\n", b"BYTES": b"\xff\xfe", b"EMPTY": b""}
    assert taken(images | {b"POD_NAME": b"old", b"SET": b"0"}) == images


def test_what_the_template_sets_is_never_the_images() -> None:
    assert taken({b"OPTIONAL": b"of a ConfigMap that is gone"}) == {}
    assert taken({b"OPTIONAL": b"of the image"}, "other") == {b"OPTIONAL": b"of the image"}


def test_services_that_are_gone_leave_nothing_behind() -> None:
    gone = {
        b"OLD_SERVICE_HOST": b"10.0.0.9", b"OLD_SERVICE_PORT": b"80", b"OLD_SERVICE_PORT_X": b"80",
        b"OLD_PORT": b"tcp://10.0.0.9:80", b"OLD_PORT_80_TCP_ADDR": b"10.0.0.9",
    }  # fmt: skip
    own = {b"OLD_THING": b"1", b"APP_PORT": b"8080", b"WEB_PORT": b"of the image"}
    assert taken(gone | own) == own


def test_without_a_workload_or_an_old_pod_nothing_is_added() -> None:
    ends = Endpoints(environ=NOW)
    assert with_image(ends, None, "app", {b"A": b"1"}) is ends
    assert with_image(ends, WORKLOAD, "app", {}) is ends
