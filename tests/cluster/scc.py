"""What OpenShift does to the pods of a namespace: its user numbers are the namespace's own.

Called by: test_arbitrary_uid.py.
Owns: the webhook and its server, until the context ends.
Never: looks at another namespace's pods.

OpenShift, "Managing security context constraints", restricted: whoever says no user gets the first
of the namespace's range, whoever says another is refused; fsGroup likewise.
"""

import base64
import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rig import kubectl

UID = 1000650000
Json = dict[str, Any]


def _constrained(pod: Json) -> tuple[Json, str]:
    """The pod's specification with the user numbers; or why it is refused."""
    spec = json.loads(json.dumps(pod["spec"]))
    whole = spec.setdefault("securityContext", {})
    whole.setdefault("fsGroup", UID)
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        own = container.setdefault("securityContext", {})
        if own.setdefault("runAsUser", whole.get("runAsUser", UID)) != UID:
            return spec, f"unable to validate against any security context constraint: {own}"
        own["allowPrivilegeEscalation"] = False
        own["capabilities"] = {"drop": ["KILL", "MKNOD", "SETUID", "SETGID"]}
    return spec, ""


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        spec, refusal = _constrained(asked["object"])
        patch = json.dumps([{"op": "replace", "path": "/spec", "value": spec}]).encode()
        said: Json = {"uid": asked["uid"], "allowed": not refusal}
        if refusal:
            said["status"] = {"code": 403, "message": refusal}
        else:
            said |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                           "response": said}).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _configuration(name: str, port: int, certificate: Path) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": f"{name}.example.com", "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {"scc": name}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                       "resources": ["pods"]}],
            "clientConfig": {"url": f"https://127.0.0.1:{port}/",
                             "caBundle": base64.b64encode(certificate.read_bytes()).decode()},
        }],
    }  # fmt: skip


@contextlib.contextmanager
def constrained(namespace: str, folder: Path) -> Iterator[None]:
    """From here on its pods are constrained.  The API server is on this machine."""
    key, certificate = folder / "key", folder / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=scc", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Webhook) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made = _configuration(namespace, server.server_port, certificate)
        kubectl("label", "namespace", namespace, f"scc={namespace}")
        kubectl("create", "-f", "-", stdin=json.dumps(made))
        try:
            yield
        finally:
            kubectl("delete", "mutatingwebhookconfiguration", namespace)
            server.shutdown()
            thread.join()
