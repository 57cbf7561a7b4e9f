"""Ports of the pod, of a container in its place and of the laptop lead where they were asked to."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator

import pytest

from engine_rig import BASE, RUN, docker, proxies
from rig import Telepresence, kubectl
from workloads import IMAGE, apply, get, pod_template, until, until_ready, workload

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")

SERVE = ("python3", "-m", "http.server", "--bind", "127.0.0.1")


@pytest.fixture
def asker(namespace: str) -> str:
    """A pod of the cluster that asks; the namespace."""
    pod = pod_template("asker")
    pod["spec"]["containers"][0]["command"] = ["sleep", "1000"]
    apply(namespace, {"apiVersion": "v1", "kind": "Pod", **pod,
                      "metadata": {"name": "asker"}})  # fmt: skip
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/asker")
    return namespace


def asked(namespace: str, url: str) -> str:
    words = ["kubectl", "exec", "-n", namespace, "asker", "--", "curl", "-s", "-m", "5", url]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


def addresses(namespace: str) -> list[str]:
    subsets = get(namespace, "endpoints/web").get("subsets") or []
    return [one["ip"] for subset in subsets for one in subset.get("addresses") or []]


@pytest.fixture
def ide() -> Iterator[int]:
    """A server on the laptop's loopback; its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"laptop {self.path}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_laptop_is_reached_from_the_containers_localhost(
    telepresence: Telepresence, ide: int
) -> None:
    """By IPv4 and IPv6, below 1024 too; a port that nobody serves is reset; and nobody else."""
    words = ["--container-to-host", f"8000:{ide}", "--container-to-host", f"80:{ide}",
             "--container-to-host", "8001:1"]  # fmt: skip
    script = """
curl -sS http://localhost:8000/a; echo; curl -sS -g 'http://[::1]:8000/b'; echo
curl -sS http://localhost/c; echo; curl -s http://localhost:8001; echo $?; cat"""
    with telepresence.running(*words, *RUN, "-i", BASE, "sh", "-c", script) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        assert said[:3] == ["laptop /a\n", "laptop /b\n", "laptop /c\n"]
        assert int(said[3]) in (52, 55, 56)  # curl(1): no answer; reset, soon or late
        (state,) = json.loads(docker("inspect", *proxies()))
        for network in state["NetworkSettings"]["Networks"].values():
            url = f"http://{network['IPAddress']}:8000/"
            done = subprocess.run(["curl", "-s", "-m", "5", url], capture_output=True, check=False)
            assert done.returncode == 7, "an address of the container leads to the laptop"
    telepresence.wait_log("a connection to port 8001 of the container found nobody on port 1 here")


def test_a_new_pods_port_is_the_containers(telepresence: Telepresence, asker: str) -> None:
    """Its Service's clients in the cluster reach 127.0.0.1 of the container."""
    words = ["--namespace", asker, "-n", "shown", "--expose", "8017:8080", *RUN, BASE]
    with telepresence.running(*words, *SERVE, "8017"):
        url = "http://shown:8080/etc/hostname"
        until(lambda: asked(asker, url).strip() == "shown")


def test_a_swapped_pod_is_ready_while_the_container_listens(
    telepresence: Telepresence, asker: str
) -> None:
    made = workload("web", replicas=1)
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    apply(asker, made, service)
    until_ready(asker, "deployment/web")
    script = "read x; python3 -m http.server --bind 127.0.0.1 8080 & read x; kill $!; read x"
    words = ("--namespace", asker, "-s", "web", *RUN, "-i", BASE, "bash", "-c", script)
    with telepresence.running(*words) as process:
        assert process.stdin is not None
        telepresence.wait_log("stage: process started")
        assert addresses(asker) == []
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: len(addresses(asker)) == 1, 20)
        until(lambda: asked(asker, "http://web/etc/hostname").startswith("web-"), 20)
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: addresses(asker) == [], 20)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(30)
    until_ready(asker, "deployment/web")


def test_other_containers_of_the_pod_on_localhost(
    telepresence: Telepresence, namespace: str
) -> None:
    """--to-pod and --from-pod: the sidecar asks back while it answers."""
    made = workload("web", replicas=1)
    sidecar = """
import http.server, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        answer = urllib.request.urlopen("http://localhost:9876/etc/hostname").read()
        self.wfile.write(b"via sidecar: " + answer)
http.server.HTTPServer(("127.0.0.1", 8910), Handler).serve_forever()
"""
    made["spec"]["template"]["spec"]["containers"].append(
        {"name": "beside", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
         "command": ["python3", "-c", sidecar]})  # fmt: skip
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    curl = "curl -sS --retry 20 --retry-all-errors --retry-delay 1"
    script = f"""
python3 -m http.server --bind 127.0.0.1 9876 >/dev/null 2>&1 &
{curl} -o /dev/null http://localhost:9876/ && {curl} http://localhost:8910/"""
    ports = ("--to-pod", "8910", "--from-pod", "9876")
    words = ("--namespace", namespace, "-s", "web", *ports, *RUN, BASE, "sh", "-c", script)
    done = telepresence(*words)
    assert done.out.startswith("via sidecar: web-"), done.err


def test_a_port_of_the_pod_that_is_taken(telepresence: Telepresence, namespace: str) -> None:
    made = workload("web", replicas=1)
    containers = made["spec"]["template"]["spec"]["containers"]
    beside = ["python3", "-m", "http.server", "8081"]
    containers.append({**containers[0], "name": "beside", "command": beside})
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    words = ("--namespace", namespace, "-s", "web", "--expose", "1234:8081")
    done = telepresence(*words, *RUN, BASE, "sleep", "3")
    # The sidecar may be the second to come, and then it is the one that finds the port taken.
    assert done.code == 0 or "the pod cannot listen on port 8081" in done.said[0]
