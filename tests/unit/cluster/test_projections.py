"""Which volumes can be copied, by a pod's specification."""

from telepresence.cluster.projections import divide

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
