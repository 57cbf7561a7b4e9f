"""Run etcd, the API server, the controller manager and the scheduler.

Called by: cli.  Owns: these four programs and the audit log.
Never: touches the node's network or containers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pki
import places
import processes
from api import Api, ApiRefused
from machine import wait_until

NAMES = ("etcd", "apiserver", "controller-manager", "scheduler")

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def audit_log() -> Path:
    return places.logs() / "audit.log"


def start() -> None:
    """Start what does not run; returns when the API server is ready."""
    pki.make()
    processes.start("etcd", _etcd())
    wait_until(
        lambda: _listens("127.0.0.1", places.ETCD_PORT),
        "etcd does not listen",
        timeout_s=20,
        hint=f"see {places.logs()}/etcd.log",
        or_raise=lambda: processes.check_alive("etcd"),
    )
    (places.data() / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    processes.start("apiserver", _apiserver())
    wait_until(
        is_ready,
        "the API server is not ready",
        timeout_s=60,
        hint=f"see {places.logs()}/apiserver.log",
        or_raise=lambda: processes.check_alive("etcd", "apiserver"),
    )
    # Not before: they end when the roles that they use are not made yet.
    processes.start("controller-manager", _controller_manager())
    processes.start("scheduler", _scheduler())


def is_ready() -> bool:
    try:
        Api(places.pki(), timeout_s=2).request("GET", "/readyz")
    except (OSError, ApiRefused):
        return False
    return True


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _etcd() -> list[str | Path]:
    client = f"http://127.0.0.1:{places.ETCD_PORT}"
    peer = f"http://127.0.0.1:{places.ETCD_PEER_PORT}"
    return [
        "etcd",
        "--name=sandbox",
        f"--data-dir={places.data()}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver() -> list[str | Path]:
    keys = places.pki()
    return [
        places.binaries() / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{places.ETCD_PORT}",
        f"--service-cluster-ip-range={places.SERVICE_RANGE}",
        f"--bind-address={places.NODE_ADDRESS}",
        f"--advertise-address={places.NODE_ADDRESS}",
        f"--secure-port={places.API_PORT}",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{places.CLUSTER_DOMAIN}",
        f"--service-account-key-file={keys}/sa.pub",
        f"--service-account-signing-key-file={keys}/sa.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",  # else it asks DNS for the node's name
        "--allow-privileged=true",
        f"--audit-policy-file={places.data()}/audit-policy.json",
        f"--audit-log-path={audit_log()}",
        "--audit-log-maxsize=50",
        "--audit-log-maxbackup=1",
    ]


def _controller_manager() -> list[str | Path]:
    keys = places.pki()
    return [
        places.binaries() / "kube-controller-manager",
        *_kubeconfigs("controller-manager"),
        f"--service-account-private-key-file={keys}/sa.key",
        f"--root-ca-file={keys}/ca.crt",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        "--use-service-account-credentials",
        # The bridge plugin has the pods' range; nodeipam would hold up the others for 10 s.
        "--controllers=*,-nodeipam",
        "--allocate-node-cidrs=false",
        f"--service-cluster-ip-range={places.SERVICE_RANGE}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--port=0",
        f"--flex-volume-plugin-dir={places.data()}/volume-plugins",
    ]


def _scheduler() -> list[str | Path]:
    return [
        places.binaries() / "kube-scheduler",
        *_kubeconfigs("scheduler"),
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--port=0",
    ]


def _kubeconfigs(user: str) -> list[str]:
    path = places.data() / f"{user}.kubeconfig"
    flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{flag}={path}" for flag in flags]
