"""vpn-tcp beside other networks of the laptop: a company's VPN, and other sessions."""

import subprocess
from collections.abc import Iterator

import pytest

from laptop import Laptop
from rig import kubectl, objects

# The far end of a VPN: a network namespace with a server of the company's.
COMPANY = """
import http.server, os, subprocess
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the company\\n")
print(os.getpid(), flush=True)
input()
subprocess.run(["ip", "-batch", "-"], check=True, text=True, input='''
link set lo up
address add 10.96.77.2/24 dev vpn1
address add 10.1.2.3/32 dev lo
link set vpn1 up
''')
server = http.server.HTTPServer(("", 80), Page)
print("serving", flush=True)
server.serve_forever()
"""


@pytest.fixture
def company(laptop: Laptop) -> Iterator[None]:
    """A VPN with a route in the Services' range, and one wider than all the cluster's."""
    words = laptop.on("unshare", "-n", "python3", "-c", COMPANY)
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        laptop.run("sh", "-c", f"ip link add vpn0 type veth peer name vpn1 netns {pid} && "
                   "ip link set vpn0 up && ip address add 10.96.77.1/24 dev vpn0 && "
                   "ip route add 10.0.0.0/8 via 10.96.77.2")  # fmt: skip
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "serving\n"
        yield
        process.kill()
    laptop.run("sh", "-c", "ip link delete vpn0 2>/dev/null; true")


def test_a_company_vpn_and_the_cluster_at_once(laptop: Laptop, company: None) -> None:
    script = """
curl -sS -m 5 http://10.96.77.2; curl -sS -m 5 http://10.1.2.3
curl -sS -m 5 http://helloworld | cut -c1-5; curl -sS -m 5 http://web-0.web | grep -o web-0
"""
    done = laptop("--run", "sh", "-c", script)
    assert done.out.splitlines() == ["the company", "the company", "Hello", "web-0"], done.err
    assert "10.96.77.0/24 stays the laptop's own network (vpn0)" in done.err
    assert "the laptop has a route to 10.0.0.0/8 (vpn0)" in done.err


def test_the_api_server_is_excluded_where_its_network_is_proxied(laptop: Laptop) -> None:
    """Or the tunnel would run through itself: also when its carrier is made anew."""
    script = """
kubectl get --raw /version | grep -o gitVersion; read x
curl -sS -m 10 http://helloworld | cut -c1-5; kubectl get --raw /version | grep -o gitVersion
"""
    words = ("--also-proxy", "10.99.0.0/24", "--run", "sh", "-c", script)
    with laptop.running(*words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "gitVersion\n"
        laptop.run("ss", "-HKt", "dst", "10.99.0.1")
        assert process.communicate("go\n", timeout=60)[0].split() == ["Hello", "gitVersion"]
    assert "carrier lost" in laptop.log.read_text()


def test_overlapping_sessions_are_refused_by_name(laptop: Laptop) -> None:
    with laptop.running("-n", "t-vpn-first", "--run", "sleep", "60"):
        laptop.wait_log("started")
        done = laptop("--logfile", "second.log", "--run", "true")
        assert done.code == 255
        assert "by the session t-vpn-first (process " in done.err
        assert "created pod" not in (laptop.directory / "second.log").read_text()


def test_the_others_go_on_when_a_session_ends(laptop: Laptop) -> None:
    apart = ["--never-proxy", "10.0.0.0/8", "--also-proxy", "203.0.113.7"]
    with laptop.running("-n", "t-vpn-first", "--run", "sleep", "60"):
        laptop.wait_log("started")
        script = "curl -sS -m 10 http://helloworld.default | cut -c1-5; getent hosts intranet"
        done = laptop(*apart, "--logfile", "second.log", "--run", "sh", "-c", script)
        assert done.out.split()[:2] == ["Hello", "198.18.0.80"], done.err
        assert laptop.run("curl", "-sS", "-m", "10", "http://helloworld").startswith("Hello")


def test_two_namespaces_at_once_each_through_its_own_pod(laptop: Laptop, namespace: str) -> None:
    """One session has the pods' range, the other the Services'; redis says who came."""
    kubectl("create", "service", "clusterip", "own", "-n", namespace, "--tcp=80")
    own = kubectl("get", "service", "own", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
    (redis,) = objects("pods", "-l", "app=redis")
    script = f"""
for name in own own.{namespace} own.{namespace}.svc; do getent hosts $name | cut -d' ' -f1; done
for host in redis-master.default {redis["status"]["podIP"]}; do
    redis-cli -h $host client list | sed -n 's/.* addr=\\([0-9.]*\\):.*cmd=client.*/\\1/p'
done
echo end; read answer
"""
    first = ["-n", "t-vpn-pods", "--never-proxy", "10.96.0.0/16", "--run", "sleep", "60"]
    second = ["-n", "t-vpn-services", "--namespace", namespace, "--never-proxy", "10.244.0.0/16",
              "--logfile", "second.log", "--run", "sh", "-c", script]  # fmt: skip
    with laptop.running(*first):
        laptop.wait_log("started")
        with laptop.running(*second) as process:
            assert process.stdout is not None
            said = [line.strip() for line in iter(process.stdout.readline, "end\n")]
            pods = {
                name: kubectl("get", "pod", name, "-n", where, "-o", "jsonpath={.status.podIP}")
                for name, where in (("t-vpn-pods", "default"), ("t-vpn-services", namespace))
            }
        assert said == [own, own, own, pods["t-vpn-services"], pods["t-vpn-pods"]]
