"""Prove the sandbox: laptops see what they should and no more, and DNS follows the specification.

Called by: pytest.  Owns: laptops named sandbox-test-*, the namespace sandbox-test.
Never: stops the sandbox, which other tests use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

SANDBOX = Path(__file__).parents[2] / "sandbox" / "sandbox"
NODE = "10.99.0.1"
CLUSTER_DNS = "10.96.0.10"
COMMAND_TIMEOUT_S = 60
PROBE = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
except OSError as exc:
    print(type(exc).__name__)
else:
    print("connected")
"""


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done


def environment() -> dict[str, str]:
    """What `sandbox env` exports."""
    lines = run(SANDBOX, "env").stdout.splitlines()
    return {name: value for line in lines for name, value in [line[7:].split("=", 1)]}


@pytest.fixture(scope="module", autouse=True)
def kubectl() -> Callable[..., str]:
    """Runs kubectl on the sandbox, whatever KUBECONFIG says; skips where no sandbox runs."""
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        pytest.skip("the sandbox needs root: run as root or install sudo")
    if not Path("/run/telepresence-sandbox").exists():
        pytest.skip("no sandbox runs: sandbox/sandbox up")
    run(SANDBOX, "up")
    kubeconfig = environment()["KUBECONFIG"]
    return lambda *words: run("kubectl", f"--kubeconfig={kubeconfig}", *words).stdout


@pytest.fixture
def laptop() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    name = f"sandbox-test-{os.getpid()}"
    try:
        yield lambda *command, check=True: run(SANDBOX, "laptop", name, "--", *command, check=check)
    finally:
        run(SANDBOX, "laptop", name, "--delete")


def test_up_again_takes_less_than_two_seconds() -> None:
    started = time.monotonic()
    run(SANDBOX, "up")
    assert time.monotonic() - started < 2
    assert run(SANDBOX, "status").returncode == 0


def test_only_the_user_can_read_the_kubeconfig() -> None:
    path = Path(environment()["KUBECONFIG"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == os.getuid()


def test_a_laptop_reaches_the_node(laptop: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert laptop("python3", "-c", PROBE, NODE, "6443").stdout == "connected\n"


def test_no_pod_and_no_service_is_reached_from_a_laptop(
    laptop: Callable[..., subprocess.CompletedProcess[str]], kubectl: Callable[..., str]
) -> None:
    service = kubectl("get", "service", "helloworld", "-o=jsonpath={.spec.clusterIP}")
    pods = kubectl("get", "pods", "-lapp=helloworld", "-o=jsonpath={.items[*].status.podIP}")
    for address in (service, pods.split()[0]):
        on_node = run("python3", "-c", PROBE, address, "80")
        assert on_node.stdout == "connected\n", "it must be there, or its absence proves nothing"
        assert laptop("python3", "-c", PROBE, address, "80").stdout != "connected\n"


def test_a_way_through_the_node_is_closed_as_well(
    laptop: Callable[..., subprocess.CompletedProcess[str]], kubectl: Callable[..., str]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can add the route")
    service = kubectl("get", "service", "helloworld", "-o=jsonpath={.spec.clusterIP}")
    laptop("ip", "route", "add", f"{service}/32", "via", NODE, "dev", "node0", "onlink")
    assert laptop("python3", "-c", PROBE, service, "80").stdout != "connected\n"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("www.internet.example", "198.18.0.1"),
        ("intranet.corp.example", "198.18.0.80"),
        ("intranet", "198.18.0.80"),  # by the search domain
        ("home.corp.example", "198.18.0.80"),  # an alias
    ],
)
def test_company_and_public_names_resolve_on_a_laptop(
    laptop: Callable[..., subprocess.CompletedProcess[str]], name: str, address: str
) -> None:
    assert laptop("getent", "ahostsv4", name).stdout.split()[0] == address


@pytest.mark.parametrize(
    "name", ["helloworld", "helloworld.default.svc.cluster.local", "example.org"]
)
def test_cluster_names_are_unknown_on_a_laptop(
    laptop: Callable[..., subprocess.CompletedProcess[str]], name: str
) -> None:
    started = time.monotonic()
    assert laptop("getent", "hosts", name, check=False).returncode == 2
    assert time.monotonic() - started < 2, "NXDOMAIN is an answer, not a timeout"


def test_the_internet_answers_a_laptop(
    laptop: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    page = laptop("curl", "-sS", "-m5", "http://www.internet.example/page").stdout
    assert page == "Hello from the Internet, www.internet.example/page\n"


def test_laptops_have_addresses_of_their_own_and_deletion_leaves_nothing() -> None:
    names = [f"sandbox-test-{os.getpid()}-{letter}" for letter in "ab"]
    before = observe_network()
    addresses = set()
    with subprocess.Popen(
        [str(SANDBOX), "laptop", names[0], "--", "sh", "-c", "echo started; exec sleep 300"],
        stdout=subprocess.PIPE,
    ) as sleeper:
        try:
            assert sleeper.stdout is not None
            assert sleeper.stdout.readline() == b"started\n"
            for name in names:
                shown = run(SANDBOX, "laptop", name, "--", "ip", "-json", "address").stdout
                devices = {device["ifname"]: device for device in json.loads(shown)}
                addresses.add(devices["node0"]["addr_info"][0]["local"])
                addresses.add(devices["eth0"]["addr_info"][0]["local"])
        finally:
            for name in names:
                run(SANDBOX, "laptop", name, "--delete")
        assert sleeper.wait(timeout=5) != 0, "what runs in a deleted laptop is ended"
    assert len(addresses) == 4
    assert observe_network() == before


def observe_network() -> tuple[list[str], list[str], list[str]]:
    """Namespaces, laptops' network devices, directories below /etc/netns."""
    devices = [path.name for path in Path("/sys/class/net").glob("laptop*")]
    spaces = run("ip", "netns", "list").stdout.split("\n")
    # The Internet stays once a laptop was made: it goes with the sandbox.
    spaces = [line.split()[0] for line in spaces if line and "sandbox-internet" not in line]
    etc = [path.name for path in Path("/etc/netns").glob("*")]
    return sorted(spaces), sorted(devices), sorted(etc)


def test_the_exit_code_of_a_laptops_command_is_its_own(
    laptop: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert laptop("sh", "-c", "exit 37", check=False).returncode == 37


@pytest.mark.parametrize(
    "words",
    [
        ("image", "/etc/hostname"),
        ("image", "/nonexistent.tar"),
        ("laptop", "UPPER", "--", "true"),
        ("laptop", "sandbox-internet", "--", "true"),
        ("laptop", "nodashes", "true"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(words: tuple[str, ...]) -> None:
    done = run(SANDBOX, *words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("sandbox: ")
    assert done.stderr.count("\n") == 1


# ---- the cluster's DNS, row by row of the Kubernetes DNS specification


def ask(name: str, kind: str, *, tcp: bool = False) -> tuple[str, list[str]]:
    """RCODE and the answers as text, sorted."""
    question = DNSRecord.question(name, kind)
    reply = DNSRecord.parse(question.send(CLUSTER_DNS, 53, tcp=tcp, timeout=3))
    assert reply.header.id == question.header.id
    return RCODE[reply.header.rcode], sorted(f"{QTYPE[rr.rtype]} {rr.rdata}" for rr in reply.rr)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "rcode", "answers"),
    [
        ("dns-version.cluster.local", "TXT", "NOERROR", ['TXT "1.1.0"']),
        ("kubernetes.default.svc.cluster.local", "A", "NOERROR", ["A 10.96.0.1"]),
        ("KUBERNETES.default.SVC.cluster.local", "A", "NOERROR", ["A 10.96.0.1"]),
        ("kubernetes.default.svc.cluster.local", "AAAA", "NOERROR", []),
        ("default.svc.cluster.local", "A", "NOERROR", []),
        (
            "_https._tcp.kubernetes.default.svc.cluster.local",
            "SRV",
            "NOERROR",
            ["SRV 0 100 443 kubernetes.default.svc.cluster.local."],
        ),
        (
            "1.0.96.10.in-addr.arpa",
            "PTR",
            "NOERROR",
            ["PTR kubernetes.default.svc.cluster.local."],
        ),
        ("1-2-3-4.default.pod.cluster.local", "A", "NOERROR", ["A 1.2.3.4"]),
        ("nosuch.default.svc.cluster.local", "A", "NXDOMAIN", []),
        ("kubernetes.nosuch.svc.cluster.local", "A", "NXDOMAIN", []),
        ("1-2-3-4.nosuch.pod.cluster.local", "A", "NXDOMAIN", []),
        ("254.254.96.10.in-addr.arpa", "PTR", "NXDOMAIN", []),
    ],
)
def test_dns_of_services(name: str, kind: str, rcode: str, answers: list[str], tcp: bool) -> None:
    assert ask(name, kind, tcp=tcp) == (rcode, answers)


def test_the_target_of_a_srv_record_is_whole() -> None:
    """RFC 2782: it is not compressed.  Go's resolver refuses one that is."""
    question = DNSRecord.question("_https._tcp.kubernetes.default.svc.cluster.local", "SRV")
    reply = question.send(CLUSTER_DNS, 53, timeout=COMMAND_TIMEOUT_S)
    whole = b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00"
    assert bytes(reply).count(whole) == 2  # in the question, in the answer


def test_dns_of_a_headless_statefulset(kubectl: Callable[..., str]) -> None:
    addresses = {}
    for name in ("web-0", "web-1"):
        addresses[name] = kubectl("get", "pod", name, "-o=jsonpath={.status.podIP}")
    full = "web.default.svc.cluster.local"
    assert ask(full, "A") == ("NOERROR", sorted(f"A {ip}" for ip in addresses.values()))
    for name, address in addresses.items():
        assert ask(f"{name}.{full}", "A") == ("NOERROR", [f"A {address}"])
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        assert ask(reverse, "PTR") == ("NOERROR", [f"PTR {name}.{full}."])
    ports = [f"SRV 0 100 80 {name}.{full}." for name in addresses]
    assert ask(f"_http._tcp.{full}", "SRV") == ("NOERROR", sorted(ports))


def test_dns_follows_an_external_name_and_a_deleted_service(kubectl: Callable[..., str]) -> None:
    target = "kubernetes.default.svc.cluster.local"
    alias = "sandbox-test-alias.default.svc.cluster.local"
    kubectl("delete", "service", "sandbox-test-alias", "--ignore-not-found")
    kubectl("create", "service", "externalname", "sandbox-test-alias", f"--external-name={target}")
    try:
        wait_for_answer(alias, ("NOERROR", ["A 10.96.0.1", f"CNAME {target}."]))
    finally:
        kubectl("delete", "service", "sandbox-test-alias")
    wait_for_answer(alias, ("NXDOMAIN", []))


def wait_for_answer(name: str, wanted: tuple[str, list[str]]) -> None:
    """A watch brings the change; it is not there in the same instant."""
    deadline = time.monotonic() + 5
    while (answer := ask(name, "A")) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert answer == wanted


def test_dns_says_promptly_that_an_unreachable_name_does_not_exist() -> None:
    ask("warm.invalid", "A")  # the first may wait a second for the machine's resolver
    started = time.monotonic()
    assert ask("nosuch.invalid", "A") == ("NXDOMAIN", [])
    assert time.monotonic() - started < 1


def test_workloads_are_reached_by_name_from_a_pod(kubectl: Callable[..., str]) -> None:
    script = (
        "curl -sS http://helloworld; redis-cli -h redis-master ping;"
        "PGPASSWORD=demo psql -h postgres -U demo demo -Atc 'select 6*7';"
        "(printf ping; sleep 0.2) | nc -N bench 7007"
    )
    lines = kubectl("exec", "web-0", "--", "sh", "-c", script).splitlines()
    assert lines[0].startswith("Hello, world!")
    assert lines[1:] == ["PONG", "42", "ping"]


def rules() -> list[str]:
    saved = run("iptables-save").stdout.splitlines()
    return [line for line in saved if "docker-sbx" in line or "DOCKER" in line]


def test_a_services_address_that_nobody_has_is_refused(kubectl: Callable[..., str]) -> None:
    """From a pod and from the node: it never leaves for a network beyond this machine."""
    nobody = "10.96.255.254"
    words = ["python3", "-c", PROBE, nobody, "80"]
    assert kubectl("exec", "deployment/bench", "--", *words).strip() == "ConnectionRefusedError"
    assert run(*words).stdout.strip() == "ConnectionRefusedError"


def test_an_ordinary_user_may_use_fuse() -> None:
    """As on a machine with udev; this one may have none."""
    assert Path("/dev/fuse").stat().st_mode & 0o666 == 0o666


def test_a_docker_engine_of_its_own_comes_and_goes() -> None:
    """Its networks and rules go with it, and it has the workloads' image."""
    if Path("/sys/class/net/docker0").exists():
        pytest.skip("this machine's own Docker engine has rules that look the same")
    run(SANDBOX, "docker", "down")
    try:
        assert "DOCKER_HOST" not in environment()
        assert not rules()
        run(SANDBOX, "docker", "up")
        host = environment()["DOCKER_HOST"]
        words = ["run", "--rm", "sandbox-base:1", "echo", "inside"]
        assert run("/usr/bin/docker", "--host", host, *words).stdout == "inside\n"
        assert rules()
        run(SANDBOX, "docker", "down")
        assert not rules()
        assert not Path("/sys/class/net/docker-sbx").exists()
        assert not Path(host.removeprefix("unix://")).exists()
    finally:
        run(SANDBOX, "docker", "up")  # the other tests use it
