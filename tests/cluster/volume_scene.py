"""A workload with a volume of every kind, and a session that swaps it, asked line by line.

Called by: conftest.py, the tests of volumes.
Owns: nothing; the objects go with their namespace, the session with its context.
Never: writes to the node but for the directory that it is given.
"""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from rig import Telepresence
from workloads import workload

INJECT = ("-m", "inject-tcp")
Json = dict[str, Any]
PLACES = {
    "config": "/etc/config", "secret": "/etc/secret", "projected": "/etc/projected",
    "downward": "/etc/podinfo", "empty": "/scratch", "host": "/host", "claim": "/claim",
}  # fmt: skip
READ_ONLY = {"config", "secret", "projected", "downward"}


def mounts_of(pod: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f" fuse.sshfs {pod}:" in line]


def processes_of(pod: str) -> str:
    found = subprocess.run(["pgrep", "-af", f"sshfs.* {pod}:"], stdout=subprocess.PIPE, text=True)
    return found.stdout


def left_of_volumes(pod: str) -> list[str]:
    """Its mounts and their processes, once they have had time to end."""
    deadline = time.monotonic() + 10
    while (left := [*mounts_of(pod), *processes_of(pod).splitlines()]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return left


def volume_objects(namespace: str, host: Path) -> list[Json]:
    size = {"storage": "1Mi"}
    chosen = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": namespace}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"},
         "data": {"plain": "from the map", "a.b-c_d": "odd", "lines": "one\ntwo\n"},
         "binaryData": {"bytes": base64.b64encode(b"\xff\0\n").decode()}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"},
         "stringData": {"password": "hunter2"}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace},
         "spec": {"capacity": size, "accessModes": ["ReadWriteOnce"],
                  "hostPath": {"path": str(host / "claim")}}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"},
         "spec": {"resources": {"requests": size}, **chosen}},
    ]  # fmt: skip


def deployment(host: Path, user: int | None = None) -> Json:
    made = workload("web", replicas=1)
    template = made["spec"]["template"]
    template["metadata"]["annotations"] = {"note": "of the pod"}
    spec = template["spec"]
    label = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    spec["volumes"] = [
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "secret", "secret": {"secretName": "secret", "defaultMode": 0o444}},
        {"name": "projected", "projected": {"sources": [
            {"configMap": {"name": "config", "items": [{"key": "plain", "path": "deep/er/plain"}]}},
            {"secret": {"name": "secret"}}, {"downwardAPI": {"items": [label]}}]}},
        {"name": "downward", "downwardAPI": {"items": [label]}},
        {"name": "empty", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": str(host)}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
    ]  # fmt: skip
    mounts: list[Json] = [{"name": name, "mountPath": place} for name, place in PLACES.items()]
    mounts.append({"name": "config", "mountPath": "/app/one.conf", "subPath": "plain"})
    mounts.append({"name": "host", "mountPath": "/frozen", "readOnly": True})
    (main,) = spec["containers"]
    if user is not None:
        main["securityContext"] = {"runAsUser": user, "runAsNonRoot": True}
    other = {**main, "name": "other", "command": ["python3", "-m", "http.server", "8081"]}
    main["volumeMounts"] = mounts
    other["volumeMounts"] = [{"name": "empty", "mountPath": "/of-the-other"}]
    spec["containers"] = [main, other]
    return made


class Session:
    """Python on the laptop, in a session that swaps `web`; asked line by line."""

    def __init__(
        self,
        telepresence: Telepresence,
        namespace: str,
        *words: str,
        env: dict[str, str] | None = None,
    ) -> None:
        program = (
            "import os, sys, json, errno, fcntl, traceback\n"
            "root = os.environ['TELEPRESENCE_ROOT']\n"
            "for line in sys.stdin:\n"
            "    try:\n"
            "        said = eval(json.loads(line))\n"
            "    except OSError as exc:\n"
            "        said = errno.errorcode[exc.errno]\n"
            "    print(json.dumps(said), flush=True)\n"
        )
        where = (*INJECT, "--namespace", namespace, "-s", "web", *words)
        command = ("--run", "/usr/bin/python3", "-c", program)
        self._running = telepresence.running(*where, *command, env=env)
        self.said = ""  # on standard error, when it has ended

    def __enter__(self) -> "Session":
        self._process = self._running.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        self.said = self._process.communicate(timeout=30)[1]
        self._running.__exit__(*error)

    def __call__(self, expression: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(expression) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return json.loads(line)

    def read(self, path: str) -> Any:
        return self(f"open(root + {path!r}, 'rb').read().decode('latin-1')")

    def write(self, path: str, text: str) -> Any:
        return self(f"open(root + {path!r}, 'w').write({text!r})")
