"""Which volumes can be copied, by a pod's specification."""

from telepresence.cluster.projections import divide, specified
from telepresence.values import MountPoint

SPEC = {
    "volumes": [
        {"name": "config", "configMap": {"name": "x"}}, {"name": "keys", "secret": {}},
        {"name": "info", "downwardAPI": {}}, {"name": "token", "projected": {}},
        {"name": "scratch", "emptyDir": {}}, {"name": "host", "hostPath": {}},
    ],
    "containers": [
        {"name": "side"},
        {"name": "main", "volumeMounts": [
            {"name": "config", "mountPath": "/etc//config/"},
            {"name": "config", "mountPath": "/app/one.conf", "subPath": "one"},
            {"name": "keys", "mountPath": "/keys"}, {"name": "info", "mountPath": "/info"},
            {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            {"name": "scratch", "mountPath": "/scratch"}, {"name": "host", "mountPath": "/host"},
        ]},
    ],
}  # fmt: skip


def test_volumes_that_kubelet_writes_are_told_from_the_others() -> None:
    assert divide(SPEC, "main") == (
        (b"/app/one.conf", b"/etc/config", b"/info", b"/keys",
         b"/var/run/secrets/kubernetes.io/serviceaccount"),
        (b"/host", b"/scratch"),
    )  # fmt: skip
    assert divide(SPEC, "side") == ((), ())
    assert divide({"containers": [{"name": "main"}]}, "main") == ((), ())


def test_what_is_read_only_is_known_beforehand() -> None:
    mounts = [{"name": "config", "mountPath": "/config"}, {"name": "host", "mountPath": "/host/"},
              {"name": "host", "mountPath": "/frozen", "readOnly": True},
              {"name": "claim", "mountPath": "/claim"}]  # fmt: skip
    claim = {"name": "claim", "persistentVolumeClaim": {"claimName": "x", "readOnly": True}}
    spec = {"volumes": [*SPEC["volumes"], claim],
            "containers": [{"name": "main", "volumeMounts": mounts}]}  # fmt: skip
    assert [(mount.path, mount.read_only) for mount in specified(spec, "main")] == [
        (b"/", False), (b"/config", True), (b"/host", False), (b"/frozen", True), (b"/claim", True),
    ]  # fmt: skip
    closed = {"name": "main", "securityContext": {"readOnlyRootFilesystem": True}}
    assert specified({"containers": [closed]}, "main") == (MountPoint(path=b"/", read_only=True),)
