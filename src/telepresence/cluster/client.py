"""The official client's asyncio half, alone: what reads kubeconfigs and sends requests.

Called by: cluster/api.py and recovery.py.
Owns: the package names that stand in for the client's own in sys.modules; certificates and keys of
kubeconfigs, in memory, until the process ends.
Never: imports the other half.  `import kubernetes` does, with requests, oauthlib and all that they
need: half of the time that a session takes until its first request.
"""

import importlib.util
import os
import sys


def _enter(package: str) -> None:
    """Let modules of a package be imported without what it imports itself."""
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = sys.modules[package] = importlib.util.module_from_spec(spec)
    above, _, name = package.rpartition(".")
    if above:
        setattr(sys.modules[above], name, module)


_enter("kubernetes")
_enter("kubernetes.aio")

from kubernetes.aio.client.api_client import ApiClient  # noqa: E402 # after what makes it cheap
from kubernetes.aio.config import kube_config, new_client_from_config  # noqa: E402
from kubernetes.aio.config.config_exception import ConfigException  # noqa: E402

_in_memory: dict[bytes, str] = {}


def _keep_in_memory(content: bytes | str, *_: object) -> str:
    """The name of a file of that content, for this process.  memfd_create(2), proc(5)."""
    data = content.encode() if isinstance(content, str) else content
    if sys.platform == "linux" and data not in _in_memory:
        fd = os.memfd_create("telepresence")
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
        _in_memory[data] = f"/proc/self/fd/{fd}"
    return _in_memory[data]


# House: the client knows temporary files only, which stay on the disk when a session is killed: a
# certificate and its key.
if sys.platform == "linux":
    kube_config._create_temp_file_with_content = _keep_in_memory

__all__ = ["ApiClient", "ConfigException", "kube_config", "new_client_from_config"]
