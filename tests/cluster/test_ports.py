"""Ports of the pod lead to the laptop or to the container in its place, and the other way."""

import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from engine_rig import BASE
from rig import Telepresence, objects
from workloads import IMAGE, apply, asked, get, until, until_ready, workload

INJECT = ("-m", "inject-tcp")
# Answers with its port and who asks; a laptop's program as any other.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"laptop " + self.path.encode())
    def log_message(self, *words): pass
class Server(http.server.HTTPServer):
    import socket
    address_family = socket.AF_INET6 if sys.argv[2] == "::1" else socket.AF_INET
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Way:
    """How the program that is to be reached is run."""

    words: tuple[str, ...]
    run: tuple[str, ...]
    python: str

    def server(self, port: int, host: str = "127.0.0.1") -> tuple[str, ...]:
        return (*self.run, self.python, "-c", SERVER, str(port), host)


WAYS = {
    "inject-tcp": Way(INJECT, ("--run",), sys.executable),
    "container": Way((), ("--docker-run", "--rm", "-i", BASE), "python3"),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "container":
        request.getfixturevalue("engine_left_as_it_was")
    return WAYS[request.param]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def ask(namespace: str, url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return asked(namespace, "curl", "-sS", "-m", "5", *words, url)


def until_answer(namespace: str, url: str, answer: str) -> None:
    until(lambda: ask(namespace, url).stdout == answer, 30)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_new_pods_service_reaches_the_program(
    telepresence: Telepresence, asker: str, way: Way, host: str
) -> None:
    port = free_port()
    words = (*way.words, "--namespace", asker, "-n", "shown", "--expose", f"{port}:8080")
    with telepresence.running(*words, *way.server(port, host)):
        telepresence.wait_log("stage: process started")
        until_answer(asker, f"http://shown.{asker}:8080/x", "laptop /x")
    assert not objects("services,pods", "-n", asker, "-l", "telepresence")


def test_a_port_below_1024(telepresence: Telepresence, asker: str) -> None:
    port = free_port()
    words = (*INJECT, "--namespace", asker, "-n", "low", "--expose", f"{port}:80")
    with telepresence.running(*words, *WAYS["inject-tcp"].server(port)):
        telepresence.wait_log("stage: process started")
        until_answer(asker, "http://low/x", "laptop /x")


def test_nobody_listens_here_and_the_asker_hears_it_at_once(
    telepresence: Telepresence, asker: str
) -> None:
    words = (*INJECT, "--namespace", asker, "-n", "void", "--expose", f"{free_port()}:8080")
    with telepresence.running(*words, "--run", "sleep", "60"):
        telepresence.wait_log("stage: process started")
        (pod,) = objects("pods", "-n", asker, "-l", "telepresence")
        began = time.monotonic()
        asked = ask(asker, f"http://{pod['status']['podIP']}:8080/")
        assert asked.returncode in (52, 55, 56), asked  # curl(1): no answer; reset, soon or late
        assert time.monotonic() - began < 4


def swapped(namespace: str, port: int) -> None:
    made = workload("web", replicas=1)
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["ports"] = [{"containerPort": port}, {"containerPort": 53, "protocol": "UDP"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
               "spec": {"selector": {"app": "web"},
                        "ports": [{"port": 80, "targetPort": port}]}}  # fmt: skip
    apply(namespace, made, service)
    until_ready(namespace, "deployment/web")


def addresses(namespace: str, service: str = "web") -> list[str]:
    subsets = get(namespace, f"endpoints/{service}").get("subsets") or []
    return [one["ip"] for subset in subsets for one in subset.get("addresses") or []]


def test_a_declared_port_is_exposed_and_the_pod_is_ready_while_somebody_listens(
    telepresence: Telepresence, asker: str, way: Way
) -> None:
    port = free_port()
    swapped(asker, port)
    script = f'read x; {way.python} -c "$0" {port} 127.0.0.1 & read x; kill $!; read x'
    words = (*way.words, "--namespace", asker, "-s", "web", *way.run, "sh", "-c", script, SERVER)
    with telepresence.running(*words) as process:
        assert process.stdin is not None
        telepresence.wait_log("the pod is unready")
        assert addresses(asker) == []
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: len(addresses(asker)) == 1, 20)
        until_answer(asker, "http://web/x", "laptop /x")
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: addresses(asker) == [], 20)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait(30)
    until_ready(asker, "deployment/web")


def test_a_swapped_port_that_leads_elsewhere_and_is_ready_from_the_start(
    telepresence: Telepresence, asker: str
) -> None:
    port = free_port()
    swapped(asker, 8080)
    words = (*INJECT, "--namespace", asker, "-s", "web", "--expose", f"{port}:8080",
             "--no-ready-when-listening")  # fmt: skip
    with telepresence.running(*words, *WAYS["inject-tcp"].server(port)):
        telepresence.wait_log("stage: process started")
        until_answer(asker, "http://web/y", "laptop /y")
        log = telepresence.log.read_text()
        assert f"port 8080 of the pod leads to port {port} here" in log
        assert "port 53 " not in log


def test_containers_of_the_pod_reach_the_program_and_it_reaches_them(
    telepresence: Telepresence, namespace: str, way: Way
) -> None:
    to_pod, from_pod = free_port(), free_port()
    made = workload("web", replicas=1)
    sidecar = f"""
import http.server, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        answer = urllib.request.urlopen("http://localhost:{from_pod}/z").read()
        self.wfile.write(b"via sidecar: " + answer)
http.server.HTTPServer(("127.0.0.1", {to_pod}), Handler).serve_forever()
"""
    made["spec"]["template"]["spec"]["containers"].append(
        {"name": "beside", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
         "command": ["python3", "-c", sidecar]})  # fmt: skip
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    # The sidecar has answered already when it finds that nobody listens here: so wait for that.
    curl = "curl -sS --retry 20 --retry-all-errors --retry-delay 1"
    script = (
        f'{way.python} -c "$0" {from_pod} 127.0.0.1 & '
        f"{curl} -o /dev/null http://localhost:{from_pod}/ && {curl} http://localhost:{to_pod}/"
    )
    ports = ("--to-pod", str(to_pod), "--from-pod", str(from_pod))
    words = (*way.words, "--namespace", namespace, "-s", "web", *ports)
    done = telepresence(*words, *way.run, "sh", "-c", script, SERVER)
    assert done.out == "via sidecar: laptop /z", done.err


def test_a_port_that_is_taken_here(telepresence: Telepresence) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        done = telepresence(*INJECT, "--to-pod", port, "--run", "true")
    assert done.code == 255
    assert f"cannot listen on 127.0.0.1:{port}" in done.said[0]


def test_ports_of_the_pod_that_are_taken(
    telepresence: Telepresence, namespace: str, way: Way
) -> None:
    made = workload("web", replicas=1)
    containers = made["spec"]["template"]["spec"]["containers"]
    beside = ["python3", "-m", "http.server", "8081"]
    containers.append({**containers[0], "name": "beside", "command": beside})
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    words = (*way.words, "--namespace", namespace, "-s", "web", "--expose")
    done = telepresence(*words, "1234:9050", *way.run, "true")
    assert done.code == 2
    assert "port 9050 of the pod is the agent's own" in done.said[0]
    # The sidecar may be the second to come, and then it is the one that finds the port taken.
    done = telepresence(*words, "1234:8081", *way.run, "sleep", "3")
    assert done.code == 0 or "the pod cannot listen on port 8081" in done.said[0]
