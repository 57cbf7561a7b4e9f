"""What Telepresence 1's own suite asserts, for each method with each operation.

Each combination is one session, which all its tests share; the last of them end it.  A test that
makes no sense for some of them is made for the others.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from engine_rig import left_as_it_was
from matrix import FAR, HOST_NAME, LOW, METHODS, OPERATIONS, VARIABLES, Session, make_surroundings
from matrix import started as start
from rig import DEADLINE_S, Telepresence, kubectl, objects
from workloads import get, made_namespace, until

COMMANDS = ["vpn-tcp", "inject-tcp"]  # of the laptop
TEMPLATES = ["existing", "swap"]  # where there is a workload
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with made_namespace() as name:
        make_surroundings(name)
        yield name


@pytest.fixture(
    scope="module",
    params=[f"{method} {operation}" for method in METHODS for operation in OPERATIONS],
)
def session(
    request: pytest.FixtureRequest, place: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    method, operation = request.param.split()
    with contextlib.ExitStack() as stack:
        if method == "container":
            request.getfixturevalue("engine")
            stack.enter_context(left_as_it_was())
        folder = tmp_path_factory.mktemp(method)
        yield stack.enter_context(start(method, operation, place, folder))


def test_the_session_starts(session: Session) -> None:
    assert "MATRIX_OF_THE_LAPTOP" in session.ask("environ") or session.method == "container"


@pytest.mark.combinations(operations=TEMPLATES)
def test_variables_of_the_pod_in_the_process_and_in_files(session: Session) -> None:
    environ = session.ask("environ")
    written = json.loads((session.telepresence.directory / "env.json").read_text())
    for name, value in VARIABLES.items():
        assert environ[name] == written[name] == value
    lines = (session.telepresence.directory / "env").read_text().splitlines()
    for name in ("MATRIX_PLAIN", "MATRIX_FROM", "MATRIX_JSON"):
        assert f"{name}={VARIABLES[name]}" in lines
    assert not [line for line in lines if line.startswith("MATRIX_LINES")]


def test_variables_of_the_laptop(session: Session) -> None:
    assert ("MATRIX_OF_THE_LAPTOP" in session.ask("environ")) is (session.method != "container")


def test_variables_of_services(session: Session) -> None:
    environ = session.ask("environ")
    host, port = environ["HELPER_SERVICE_HOST"], environ["HELPER_SERVICE_PORT"]
    assert host == get(session.namespace, "service/helper")["spec"]["clusterIP"]
    assert port == "8000"
    assert environ["HELPER_PORT"] == environ["HELPER_PORT_8000_TCP"] == f"tcp://{host}:{port}"
    assert environ["HELPER_PORT_8000_TCP_PROTO"] == "tcp"
    assert environ["HELPER_PORT_8000_TCP_PORT"] == port
    assert environ["HELPER_PORT_8000_TCP_ADDR"] == host


def test_localhost_is_the_laptops(session: Session) -> None:
    """A container's is its own: --container-to-host leads to the laptop's."""
    port = 8000 if session.method == "container" else session.laptop_server
    assert session.ask("get", f"http://localhost:{port}/") == "the laptop"


@pytest.mark.combinations(methods=COMMANDS)
@pytest.mark.parametrize("tool", ["ping", "traceroute"])
def test_a_tool_that_cannot_work_says_so(session: Session, tool: str) -> None:
    code, _, said = session.ask("run", tool, "helper")
    assert code == 55
    assert "ICMP" in said


@pytest.mark.combinations(methods=COMMANDS)
@pytest.mark.parametrize(
    "tool", [("dig", "+short"), ("host",), ("nslookup",)], ids=["dig", "host", "nslookup"]
)
def test_a_tool_that_telepresence_1_could_not_carry_works(
    session: Session, tool: tuple[str, ...]
) -> None:
    """Stubs that exit 55 there, with inject-tcp."""
    address = get(session.namespace, "service/helper")["spec"]["clusterIP"]
    code, said, error = session.ask("run", *tool, f"helper.{session.namespace}.svc.cluster.local")
    assert code == 0, said + error
    assert address in said


def test_volumes(session: Session) -> None:
    environ = session.ask("environ")
    written = json.loads((session.telepresence.directory / "env.json").read_text())
    assert written["TELEPRESENCE_ROOT"] == environ["TELEPRESENCE_ROOT"]
    mounts = written["TELEPRESENCE_MOUNTS"].split(":")
    assert any(mount.endswith("serviceaccount") for mount in mounts)
    if session.has_template:
        assert "/podinfo" in mounts
        labels = session.ask("read", "$TELEPRESENCE_ROOT/podinfo/labels")
        assert 'hello="monkeys"' in labels
    else:
        assert session.fails("read", "$TELEPRESENCE_ROOT/podinfo/labels")
    assert "BEGIN CERTIFICATE" in session.ask("read", f"$TELEPRESENCE_ROOT{SERVICE_ACCOUNT}/ca.crt")


def test_ways_to_a_service(session: Session) -> None:
    """Its name, its full name, its address; the server sees an address of the cluster."""
    address = get(session.namespace, "service/helper")["spec"]["clusterIP"]
    pods = json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]
    ours = {pod["status"].get("podIP") for pod in pods
            if pod["metadata"]["namespace"] == session.namespace}  # fmt: skip
    for host in ("helper", f"helper.{session.namespace}", address,
                 f"helper.{session.namespace}.svc.cluster.local"):  # fmt: skip
        answer = session.ask("get", f"http://{host}:8000/")
        assert answer.removeprefix("helper hears ") in ours


@pytest.mark.combinations(methods=["vpn-tcp"])
@pytest.mark.parametrize("kind", sorted(FAR))
def test_what_also_proxy_names_goes_through_the_cluster(session: Session, kind: str) -> None:
    host = FAR[kind] if kind != "name" else f"far-name.{session.namespace}.svc.cluster.local"
    own = session.ask("run", "hostname", "-I")[1].split()
    answer = session.ask("get", f"http://{host}:8000/")
    assert answer.startswith("helper hears ")
    assert answer.removeprefix("helper hears ") not in own


def reached(session: Session, port: int) -> str:
    return session.from_cluster(f"http://{session.name}.{session.namespace}:{port}/")


def test_a_port_is_reached_from_the_cluster(session: Session) -> None:
    until(lambda: reached(session, session.same) == "same", 20)


def test_another_port_of_the_laptop_is_reached_from_the_cluster(session: Session) -> None:
    until(lambda: reached(session, session.other) == "other", 20)


def test_a_port_below_1024_is_reached_from_the_cluster(session: Session) -> None:
    """Telepresence 1 could not for an existing one."""
    until(lambda: reached(session, LOW) == "low", 20)


@pytest.mark.combinations(operations=TEMPLATES)
def test_a_declared_port_is_reached_from_the_cluster(session: Session) -> None:
    until(lambda: reached(session, session.declared) == "declared", 20)


@pytest.mark.combinations(operations=["existing"])  # two pods cannot share a port of the node
def test_a_declared_port_that_is_another_one_of_the_node(session: Session) -> None:
    """hostPort is not containerPort; Telepresence 1 could not."""
    (node,) = objects("nodes")
    (address,) = (one["address"] for one in node["status"]["addresses"]
                  if one["type"] == "InternalIP")  # fmt: skip
    until(lambda: session.from_cluster(f"http://{address}:{session.on_host}/") == "behind", 20)


@pytest.mark.combinations(operations=TEMPLATES)
def test_containers_beside_it_reach_the_laptop_and_are_reached(session: Session) -> None:
    answer = session.ask("get", f"http://localhost:{session.to_pod}/")
    assert answer == "beside heard from pod"


def test_names_of_services(session: Session) -> None:
    names = ["helper", session.name]
    for name in names:
        address = get(session.namespace, f"service/{name}")["spec"]["clusterIP"]
        assert session.ask("address", f"{name}.{session.namespace}") == address


@pytest.mark.combinations(operations=TEMPLATES)
def test_host_aliases_of_the_pod(session: Session) -> None:
    assert session.ask("address", HOST_NAME) == "192.0.2.77"


def test_a_name_that_nobody_has(session: Session) -> None:
    assert session.fails("address", "example.invalid")


def test_the_name_of_an_address(session: Session) -> None:
    """Telepresence 1 could not with inject-tcp."""
    address = get(session.namespace, "service/helper")["spec"]["clusterIP"]
    full = f"helper.{session.namespace}.svc.cluster.local"
    assert session.ask("name", address) == full


def test_an_address_without_a_name(session: Session) -> None:
    assert session.fails("name", "192.0.2.1")


def test_the_exit_code_is_the_commands(session: Session) -> None:
    """Ends the session: nothing below may ask it."""
    process = session.process
    assert process is not None
    assert process.stdin is not None
    process.stdin.write(json.dumps(["leave", 94]) + "\n")
    process.stdin.flush()
    assert process.wait(DEADLINE_S) == 94


def test_afterwards_all_is_as_before(session: Session) -> None:
    """Image, arguments, replicas; and the pods are back within 60 s."""
    assert session.process is not None
    assert session.process.poll() is not None
    assert not objects("services", "-n", session.namespace, "-l", "telepresence")
    if session.has_template:
        now = get(session.namespace, f"deployment/{session.name}")
        assert now["spec"] == session.before["spec"]
        assert now["metadata"].get("labels") == session.before["metadata"].get("labels")
        wanted = now["spec"]["replicas"]
        until(lambda: get(session.namespace, f"deployment/{session.name}")["status"].get(
            "readyReplicas") == wanted, 60)  # fmt: skip


def test_a_pod_whose_processes_are_killed_ends_the_session(telepresence: Telepresence) -> None:
    with telepresence.running("-m", "inject-tcp", "-n", "t-matrix-killed", "--run", "sleep",
                              "60") as process:  # fmt: skip
        telepresence.wait_log("stage: process started")
        began = time.monotonic()
        kill = "import os; os.kill(1, 15)"
        subprocess.run(["kubectl", "exec", "t-matrix-killed", "--", "/usr/bin/python3.11", "-c",
                        kill], check=False, capture_output=True, timeout=30)  # fmt: skip
        assert process.wait(30) == 255
        assert time.monotonic() - began < 30
