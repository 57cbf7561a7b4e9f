"""Only the half of the client that is needed is imported."""

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes.aio.client import Configuration

from telepresence.cluster.client import kube_config

SCRIPT = """
import sys
from telepresence.cluster import api, observe
print(*sorted(name for name in sys.modules if name.partition(".")[0] in {
    "requests", "oauthlib", "requests_oauthlib", "urllib3", "websocket"}
    or name.startswith(("kubernetes.client", "kubernetes.config", "kubernetes.aio.client.api."))))
import kubernetes.aio.client.models
print(kubernetes.aio.client.models.__name__)
"""


def test_a_session_does_without_the_other_half() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["", "kubernetes.aio.client.models"]


@pytest.mark.skipif(sys.platform != "linux", reason="this system has no memfd_create(2)")
def test_a_key_that_the_kubeconfig_has_in_it_is_on_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = {name: base64.b64encode(name.encode()).decode()
            for name in ("certificate-authority", "client-certificate", "client-key")}  # fmt: skip
    place = tmp_path / "config"
    place.write_text(json.dumps({
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {
            "server": "https://127.0.0.1:1",
            "certificate-authority-data": data["certificate-authority"]}}],
        "users": [{"name": "u", "user": {
            "client-certificate-data": data["client-certificate"],
            "client-key-data": data["client-key"]}}],
    }))  # fmt: skip
    seen = Configuration()
    asyncio.run(kube_config.load_kube_config(str(place), client_configuration=seen))
    assert [Path(name).read_text() for name in (seen.ssl_ca_cert, seen.cert_file, seen.key_file)
            ] == list(data)  # fmt: skip
    assert list(tmp_path.iterdir()) == [place]
