"""Make the cluster's certificates and kubeconfig files.

Called by: control_plane.  Owns: the pki directory and the kubeconfig files in the data directory.
Never: reuses a key of an earlier cluster."""

from __future__ import annotations

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import places
from machine import run

DAYS = "3650"


@dataclass(frozen=True, slots=True)
class Identity:
    name: str
    subject: str
    alternatives: str


IDENTITIES = (
    Identity(
        "apiserver",
        "/CN=kube-apiserver",
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        f"DNS:kubernetes.default.svc.{places.CLUSTER_DOMAIN},DNS:localhost,"
        f"IP:127.0.0.1,IP:{places.NODE_ADDRESS},IP:{places.API_SERVICE_ADDRESS}",
    ),
    Identity("admin", "/O=system:masters/CN=admin", "DNS:admin"),
    Identity(
        "kubelet",
        f"/O=system:nodes/CN=system:node:{places.NODE_NAME}",
        f"DNS:{places.NODE_NAME},IP:{places.NODE_ADDRESS}",
    ),
    Identity("controller-manager", "/CN=system:kube-controller-manager", "DNS:cm"),
    Identity("scheduler", "/CN=system:kube-scheduler", "DNS:scheduler"),
    Identity("proxy", "/CN=system:kube-proxy", "DNS:proxy"),
)


def make() -> None:
    """Create the authority, a certificate for each identity, the key of service-account tokens."""
    pki = places.pki()
    if (pki / "complete").exists():
        return
    pki.mkdir(parents=True, exist_ok=True)
    pki.chmod(0o700)
    _key(pki / "ca.key")
    run("openssl", "req", "-x509", "-new", "-key", pki / "ca.key", "-days", DAYS,
        "-subj", "/CN=telepresence-sandbox-ca", "-out", pki / "ca.crt")  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_certify, IDENTITIES))
    _key(pki / "sa.key")
    run("openssl", "pkey", "-in", pki / "sa.key", "-pubout", "-out", pki / "sa.pub")
    for identity in IDENTITIES[1:]:
        path = places.data() / f"{identity.name}.kubeconfig"
        _write_private(path, make_kubeconfig(identity.name), 0, 0)
    (pki / "complete").touch()


def _key(path: Path) -> None:
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def _certify(identity: Identity) -> None:
    pki = places.pki()
    stem = pki / identity.name
    extensions = Path(f"{stem}.ext")
    extensions.write_text(
        f"subjectAltName={identity.alternatives}\nextendedKeyUsage=clientAuth,serverAuth\n"
    )
    _key(Path(f"{stem}.key"))
    request = run("openssl", "req", "-new", "-key", f"{stem}.key", "-subj", identity.subject)
    serial = str(1 + IDENTITIES.index(identity))
    run("openssl", "x509", "-req", "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key",
        "-set_serial", serial, "-days", DAYS, "-extfile", extensions, "-out", f"{stem}.crt",
        stdin=request)  # fmt: skip


def make_kubeconfig(user: str) -> str:
    """A kubeconfig file with everything inside, as JSON (which is YAML)."""

    def inline(name: str) -> str:
        return base64.b64encode((places.pki() / name).read_bytes()).decode()

    cluster = {"server": places.API_URL, "certificate-authority-data": inline("ca.crt")}
    credentials = {
        "client-certificate-data": inline(f"{user}.crt"),
        "client-key-data": inline(f"{user}.key"),
    }
    context = {"cluster": "sandbox", "user": user, "namespace": "default"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "sandbox", "context": context}],
            "current-context": "sandbox",
        },
        indent=1,
    )


def write_user_kubeconfig(invoker: places.Invoker) -> None:
    """Give the invoker, and nobody else, a file that opens this cluster."""
    places.make_user_cache(invoker)
    text = make_kubeconfig("admin")
    path = places.user_kubeconfig(invoker)
    if not path.exists() or path.read_text() != text:
        _write_private(path, text, invoker.uid, invoker.gid)
    given = set(places.KUBECONFIGS.read_text().splitlines() if places.KUBECONFIGS.exists() else ())
    places.KUBECONFIGS.write_text("".join(f"{one}\n" for one in sorted(given | {str(path)})))


def _write_private(path: Path, text: str, uid: int, gid: int) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
        os.fchown(file.fileno(), uid, gid)
        file.write(text)
    fresh.rename(path)
