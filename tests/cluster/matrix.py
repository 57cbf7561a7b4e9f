"""Method by operation: one session of each combination, and the cluster around them.

Called by: test_matrix.py.
Owns: the workloads and the session of a combination, each until its context ends.
Never: asserts what the tests are for.
"""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_rig import BASE
from laptop import Laptop, lent
from rig import DEADLINE_S, Telepresence, kubectl
from telepresence import __version__
from test_ports import free_port
from workloads import IMAGE, Json, apply, get, until, until_ready

PROBE = Path(__file__).with_name("probe.py").read_text()
METHODS = ("container", "vpn-tcp", "inject-tcp")
OPERATIONS = ("existing", "swap", "new")
LOW = 79  # a port below 1024
HOST_NAME = "matrix-alias.local"  # a hostAlias, for an address of nobody
VARIABLES = {
    "MATRIX_PLAIN": "hello",
    "MATRIX_FROM": "a config map's",
    "MATRIX_LINES": "first (no newline before)\nsecond = with spaces\nthird (no newline after)",
    "MATRIX_JSON": '{"a": "b", "c": ["d", 1]}',
}
BESIDE = """
import http.server, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        answer = urllib.request.urlopen("http://localhost:%d/", timeout=5).read()
        self.wfile.write(b"beside heard " + answer)
http.server.ThreadingHTTPServer(("127.0.0.1", %d), Handler).serve_forever()
"""
HELPER = """
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b"helper hears " + self.client_address[0].encode())
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
# Addresses that only kube-proxy knows (RFC 5737): a laptop has no way to them but the cluster's.
FAR = {"ip": "203.0.113.7", "range": "203.0.113.9", "name": "203.0.113.10"}


@dataclass
class Session:
    """One combination, running."""

    method: str
    operation: str
    namespace: str
    telepresence: Telepresence
    before: Json
    same: int = field(default_factory=free_port)  # --expose PORT
    laptops: int = field(default_factory=free_port)  # --expose LAPTOPS:OTHER
    other: int = field(default_factory=free_port)
    low: int = field(default_factory=free_port)  # --expose LOW:79
    declared: int = field(default_factory=free_port)  # by the workload, without --expose
    on_host: int = field(default_factory=free_port)  # of the node, for `behind`
    behind: int = field(default_factory=free_port)
    to_pod: int = field(default_factory=free_port)
    from_pod: int = field(default_factory=free_port)
    laptop_server: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None

    @property
    def name(self) -> str:
        return f"{self.method}-{self.operation}"

    @property
    def has_template(self) -> bool:
        return self.operation != "new"

    def ask(self, what: str, *arguments: object) -> Any:
        """The value that the probe answers, or an AssertionError with its error."""
        process = self.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(DEADLINE_S, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps([what, *arguments]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"the session has ended: {self.telepresence.log.read_text()[-2000:]}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def fails(self, what: str, *arguments: object) -> bool:
        try:
            self.ask(what, *arguments)
        except AssertionError:
            return True
        return False

    def from_cluster(self, url: str) -> str:
        """What a pod of the cluster gets there."""
        words = ["kubectl", "exec", "-n", self.namespace, "helper", "--", "curl", "-s", "-m", "5"]
        return subprocess.run(
            [*words, url], capture_output=True, text=True, timeout=60, check=False
        ).stdout


def _service(name: str, *ports: int, **spec: Any) -> Json:
    listed = [{"name": f"p{port}", "port": port, "targetPort": port} for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": listed, **spec}}  # fmt: skip


def make_surroundings(namespace: str) -> None:
    """A server, which also asks; its Service; and addresses that are of the cluster alone."""
    helper = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "helper", "labels": {"app": "helper"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [
            {"name": "helper", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
             "command": ["python3", "-c", HELPER]}]},
    }  # fmt: skip
    far = _service("far", 8000, type="LoadBalancer")
    far["spec"]["selector"] = {"app": "helper"}
    named = _service("far-name", 8000, clusterIP="None")
    del named["spec"]["selector"]
    ends = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "far-name"},
            "subsets": [{"addresses": [{"ip": FAR["name"]}],
                         "ports": [{"name": "p8000", "port": 8000}]}]}  # fmt: skip
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "matrix"},
              "data": {"MATRIX_FROM": VARIABLES["MATRIX_FROM"]}}  # fmt: skip
    apply(namespace, helper, _service("helper", 8000), far, named, ends, config)
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/helper", "--timeout=60s")
    balancer = {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in FAR.values()]}}}
    kubectl("patch", "-n", namespace, "service/far", "--subresource=status", "--type=merge",
            "-p", json.dumps(balancer))  # fmt: skip
    # Before kube-proxy has them, what is sent there would leave this machine.
    until(lambda: all(f"-d {ip}/32" in _rules() for ip in FAR.values()), 20)


def _rules() -> str:
    words = ["iptables-save", "-t", "nat"]
    if os.geteuid() != 0:
        words.insert(0, "sudo")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _template(session: Session, agent_image: str) -> Json:
    """Of both kinds of workload, but for what runs in it."""
    env = [{"name": name, "value": VARIABLES[name]}
           for name in ("MATRIX_PLAIN", "MATRIX_LINES", "MATRIX_JSON")]  # fmt: skip
    main: Json = {
        "name": "main", "imagePullPolicy": "IfNotPresent", "env": env,
        "envFrom": [{"configMapRef": {"name": "matrix"}}],
        "ports": [{"containerPort": session.declared},
                  {"containerPort": session.behind, "hostPort": session.on_host}],
        "volumeMounts": [{"name": "podinfo", "mountPath": "/podinfo"}],
    }  # fmt: skip
    if session.operation == "existing":
        main["image"] = agent_image
        # What the manual says of ports below 1024, for a server that has not the sysctl yet.
        main["securityContext"] = {"runAsUser": 0, "allowPrivilegeEscalation": False,
                                   "capabilities": {"drop": ["ALL"],
                                                    "add": ["NET_BIND_SERVICE"]}}  # fmt: skip
    else:
        main |= {"image": IMAGE, "command": ["python3"],
                 "args": ["-m", "http.server", str(session.declared)]}  # fmt: skip
    talk = BESIDE % (session.from_pod, session.to_pod)
    beside = {"name": "beside", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
              "command": ["python3", "-c", talk]}  # fmt: skip
    labels = {"fieldRef": {"fieldPath": "metadata.labels"}, "path": "labels"}
    return {
        "metadata": {"labels": {"app": session.name, "hello": "monkeys"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [main, beside],
            "hostAliases": [{"ip": "192.0.2.77", "hostnames": [HOST_NAME]}],
            "volumes": [{"name": "podinfo", "downwardAPI": {"items": [labels]}}],
        },
    }


def make_workload(session: Session, agent_image: str) -> None:
    # A port of the node cannot be had twice.
    replicas = 1 if session.operation == "existing" else 2
    template = _template(session, agent_image)
    if session.operation == "swap":
        template["spec"]["containers"][0]["ports"][1].pop("hostPort")
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": session.name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": session.name}},
                 "template": template},
    }  # fmt: skip
    ports = (session.same, session.other, LOW, session.declared)
    apply(session.namespace, deployment, _service(session.name, *ports))
    until_ready(session.namespace, f"deployment/{session.name}")


def words(session: Session) -> list[str]:
    """Of the command line, without the method and what is run."""
    option = {"existing": "--deployment", "swap": "--swap-deployment", "new": "--new-deployment"}
    said = [option[session.operation], session.name, "--namespace", session.namespace]
    said += ["--expose", str(session.same), "--expose", f"{session.laptops}:{session.other}"]
    said += ["--expose", f"{session.low}:{LOW}", "--from-pod", str(session.from_pod)]
    said += ["--env-json", "env.json", "--env-file", "env", "--env-syntax", "docker"]
    said += ["--to-pod", str(session.to_pod)]
    if session.method == "container":
        said += ["--container-to-host", f"8000:{session.laptop_server}"]
    if session.method == "vpn-tcp":
        said += ["--also-proxy", FAR["ip"], "--also-proxy", "203.0.113.8/31"]
        said += ["--also-proxy", f"far-name.{session.namespace}.svc.cluster.local"]
    return said


@contextlib.contextmanager
def laptop_server(session: Session) -> Iterator[None]:
    """On loopback of the machine that telepresence runs on, outside of the session."""
    argv = ["python3", "-c", PROBE]
    if isinstance(session.telepresence, Laptop):
        argv = session.telepresence.on(*argv)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        made.stdin.write(json.dumps(["serve", session.laptop_server, "the laptop"]) + "\n")
        made.stdin.flush()
        assert made.stdout.readline()
        try:
            yield
        finally:
            made.stdin.close()


@contextlib.contextmanager
def started(method: str, operation: str, namespace: str, folder: Path) -> Iterator[Session]:
    """The session of a combination, with its servers up."""
    with contextlib.ExitStack() as stack:
        telepresence = Telepresence(folder)
        if method == "vpn-tcp":
            telepresence = stack.enter_context(lent(folder, f"-{operation}"))
        session = Session(method, operation, namespace, telepresence, {})
        if session.has_template:
            make_workload(session, f"telepresence-agent:{__version__}")
            session.before = get(namespace, f"deployment/{session.name}")
        stack.enter_context(laptop_server(session))
        command = {"container": ("--docker-run", "--rm", "-i", BASE)}.get(method, ("--run",))
        choice = () if method == "vpn-tcp" else ("--method", method)
        argv = (*choice, *words(session), *command, "python3", "-c", PROBE)
        session.process = stack.enter_context(
            telepresence.running(*argv, env={"MATRIX_OF_THE_LAPTOP": "here"})
        )
        for port, said in ((session.same, "same"), (session.laptops, "other"),
                           (session.low, "low"), (session.from_pod, "from pod")):  # fmt: skip
            session.ask("serve", port, said)
        if session.has_template:
            session.ask("serve", session.declared, "declared")
            session.ask("serve", session.behind, "behind")
        if operation != "existing":
            until(lambda: bool(get(namespace, f"endpoints/{session.name}").get("subsets")), 30)
        yield session
