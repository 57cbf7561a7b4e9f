"""A user of the cluster who may do what `telepresence rbac` says, and no more.

Called by: the tests of rights and of requests.
Owns: nothing; it goes with the namespace.
Never: gives the user a right beyond the printed ones.
"""

import json

import yaml

from rig import Telepresence, kubectl
from workloads import apply


def account(telepresence: Telepresence, namespace: str, *words: str) -> dict[str, str]:
    """A kubeconfig of a service account that has what `telepresence rbac` prints, and no more."""
    printed = telepresence("rbac", "--namespace", namespace, *words).out
    role, binding = yaml.safe_load_all(printed)
    binding["subjects"] = [{"kind": "ServiceAccount", "name": "user", "namespace": namespace}]
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "user",
                     "annotations": {"kubernetes.io/service-account.name": "user"}},
    }  # fmt: skip
    maker = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "user"}}
    apply(namespace, maker, secret, role, binding)
    kubectl("wait", "-n", namespace, "--for=jsonpath={.data.token}", "secret/user")
    template = "go-template={{.data.token|base64decode}}"
    config = json.loads(kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    token = kubectl("get", "secret", "user", "-n", namespace, "-o", template)
    config["users"][0]["user"] = {"token": token}
    path = telepresence.directory / "account"
    path.write_text(json.dumps(config))
    return {"KUBECONFIG": str(path)}
