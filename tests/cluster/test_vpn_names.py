"""Names of the cluster on laptops whose resolvers differ, asked for by programs of every kind."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import TOP, Laptop, lent
from rig import Done, kubectl, objects
from workloads import apply, until, workload

WITH = Path(__file__).with_name("with-resolver")
UNPACKED = TOP / "build" / "unpacked"
FORMS = ("redis-master", "redis-master.default", "redis-master.default.svc",
         "redis-master.default.svc.cluster.local")  # fmt: skip

GO = """
package main
import ("bufio"; "fmt"; "net"; "os")
func ping(name string) (string, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort(name, "6379"))
	if err != nil { return "", err }
	defer conn.Close()
	fmt.Fprint(conn, "PING\\r\\n")
	return bufio.NewReader(conn).ReadString('\\n')
}
func main() {
	for _, name := range os.Args[1:] {
		found, err := net.LookupHost(name)
		pong, failed := ping(name)
		fmt.Printf("go %s %v %v %.5s %v\\n", name, found, err, pong, failed)
	}
}
"""
JAVA = """
import java.io.*;
import java.net.*;
class Ask {
    public static void main(String[] names) {
        for (String name : names) {
            try (Socket socket = new Socket(InetAddress.getByName(name), 6379)) {
                socket.getOutputStream().write("PING\\r\\n".getBytes());
                String pong = new String(socket.getInputStream().readNBytes(5));
                String ip = socket.getInetAddress().getHostAddress();
                System.out.println("java " + name + " " + ip + " " + pong);
            } catch (Exception e) { System.out.println("java " + name + " " + e); }
        }
    }
}
"""
ASK = """
for name in "$@"; do
    echo getent $name $(getent hosts $name)
    echo curl $name $(curl -s -m 5 -o /dev/null -w '%{remote_ip}' http://$name:6379)
    echo dig $name $(dig +short $name | tail -1)
    echo drill $name $(drill -Q $name | tail -1)
done
"$PROGRAMS/ask" "$@"
java -cp "$PROGRAMS" Ask "$@"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program of Go, with Go's own resolver, and one of Java."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "ask.go").write_text(GO)
    (folder / "Ask.java").write_text(JAVA)
    env = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", "ask", "ask.go"], cwd=folder, check=True, timeout=200,
                   env=env)  # fmt: skip
    subprocess.run(["javac", "Ask.java"], cwd=folder, check=True, timeout=100)
    (folder / "ask.sh").write_text(ASK)
    return folder


class Resolving(Laptop):
    """Which resolves names in one of the ways of with-resolver."""

    way = "libc"

    def on(self, *words: str) -> list[str]:
        if words == ("true",) or not words[0].endswith("telepresence"):
            return super().on(*words)
        return super().on(str(WITH), self.way, str(UNPACKED), *words)

    def by(self, way: str, *words: str, **env: str) -> Done:
        self.way = way
        return self("--verbose", *words, env=env)


@pytest.fixture
def laptop(tmp_path: Path, kubeconfig: Path) -> Iterator[Resolving]:
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        pytest.skip("laptops need root or sudo")
    if not (UNPACKED / ".names").is_file():
        pytest.skip("the packages of the resolvers could not be downloaded by make setup")
    with lent(tmp_path) as made:
        yield Resolving(made.name, tmp_path)


def cluster_ip(service: str, namespace: str = "default") -> str:
    path = "jsonpath={.spec.clusterIP}"
    return kubectl("get", "service", service, "-n", namespace, "-o", path)


# The way, and programs that its libc keeps from the cluster's own domain, with the advice.
WAYS = {
    "libc": "",
    "stub": "",
    "upstreams": "",
    "dnsmasq": "",
    "mdns-minimal": "",
    "mdns-all": "write mdns4_minimal there",
    "nss-resolve": "Domains=~cluster.local",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_program_finds_every_form(laptop: Resolving, programs: Path, way: str) -> None:
    script = str(programs / "ask.sh")
    done = laptop.by(way, "--run", "sh", script, *FORMS, PROGRAMS=str(programs))
    ip = cluster_ip("redis-master")
    assert len(done.out.splitlines()) == 6 * len(FORMS), done.err
    missing = {
        tuple(line.split()[:2])
        for line in done.out.splitlines()
        if ip not in line or (line.startswith(("go", "java")) and "+PONG" not in line)
    }
    kept = WAYS[way]
    # What libc never asks a name server cannot be answered by one; programs without libc can.
    libc = {(program, FORMS[-1]) for program in ("getent", "curl", "java")}
    assert missing == (libc if kept else set()), done.out
    assert (kept in done.err) if kept else (".local" not in done.err)


def test_nss_resolve_with_the_advice_taken(laptop: Resolving) -> None:
    done = laptop.by("nss-resolve", "--run", "getent", "hosts", *FORMS,
                     SEARCH="corp.example ~cluster.local")  # fmt: skip
    assert done.out.count(cluster_ip("redis-master")) == len(FORMS), done.err
    assert ".local" not in done.err


@pytest.mark.parametrize("way", ["search", "nss-resolve"])
def test_several_search_domains_and_the_companys_own_names(
    laptop: Resolving, namespace: str, way: str
) -> None:
    """The cluster has Services `www`, `wiki` and `own`; the company has wiki.corp.example."""
    for service in ("www", "wiki", "own"):
        kubectl("create", "service", "clusterip", service, "-n", namespace, "--tcp=80")
    script = """
for name in own own.$1 wiki.corp.example intranet.corp.example www.internet.example; do
    echo $name $(getent hosts $name)
done
for name in www.corp.example www.eu.corp.example; do dig $name | grep -o NXDOMAIN; done
"""
    done = laptop.by(way, "--namespace", namespace, "--run", "sh", "-c", script, "sh", namespace,
                     SEARCH="eu.corp.example corp.example internet.example")  # fmt: skip
    lines = [line.split()[1] for line in done.out.splitlines() if " " in line]
    own = cluster_ip("own", namespace)
    assert lines == [own, own, "198.18.0.80", "198.18.0.80", "198.18.0.1"], done.out + done.err
    if way == "search":  # the other sends `www` as www.corp.example alone: docs/vpn-tcp.md
        assert done.out.count("NXDOMAIN") == 2, done.out


def test_a_resolver_that_sends_no_single_label(laptop: Resolving) -> None:
    done = laptop.by("nss-resolve", "--run", "getent", "hosts", "redis-master.default.svc",
                     SEARCH="")  # fmt: skip
    assert cluster_ip("redis-master") in done.out, done.err
    assert "use SERVICE.NAMESPACE" in done.err


@pytest.mark.parametrize(
    ("way", "env", "said"),
    [
        ("files", {}, "hosts: files'"),
        ("nss-resolve", {"RESOLVED": "DNSOverTLS=yes"}, "hosts: files resolve"),
    ],
)
def test_names_that_never_come_end_the_session_with_the_reason(
    laptop: Resolving, way: str, env: dict[str, str], said: str
) -> None:
    done = laptop.by(way, "--run", "true", **env)
    assert done.code == 255
    reason = next(line for line in done.said if "names cannot be looked up" in line)
    assert "never came to port 53" in reason
    assert "198.18.0.53" in reason
    assert said in reason
    assert "-m inject-tcp" in done.said[-1]


def test_records_of_every_kind(laptop: Resolving, namespace: str) -> None:
    """hostAliases, PTR of pods and Services, SRV, headless lists, ExternalName, NODATA."""
    made = workload("aliased", replicas=1)
    made["spec"]["template"]["spec"]["hostAliases"] = [
        {"ip": "203.0.113.9", "hostnames": ["legacy", "legacy.corp.example"]}
    ]
    apply(namespace, made)
    kubectl("create", "service", "externalname", "outside", "-n", namespace,
            "--external-name", "redis-master.default.svc.cluster.local")  # fmt: skip
    until(lambda: bool(objects("pods", "-n", namespace, "-l", "app=aliased")))
    redis, (pod, *_) = cluster_ip("redis-master"), objects("pods", "-l", "app=web")
    script = f"""
for name in legacy legacy.corp.example; do getent hosts $name | cut -d' ' -f1; done
dig +short -x {redis}; drill -Q -x {redis}
dig +short -x {pod["status"]["podIP"]}
dig +short SRV _http._tcp.helloworld.default | tail -1
dig +short web.default | grep -c '^10[.]'
dig +short outside | tail -1
dig AAAA redis-master.default.svc.cluster.local | grep -oE 'NOERROR|ANSWER: 0'
"""
    done = laptop.by("libc", "--namespace", namespace, "--swap-deployment", "aliased", "--run",
                     "sh", "-c", script)  # fmt: skip
    master = "redis-master.default.svc.cluster.local."
    assert done.out.splitlines() == [
        "203.0.113.9", "203.0.113.9", master, master,
        f"{pod['metadata']['name']}.web.default.svc.cluster.local.",
        "0 100 80 helloworld.default.svc.cluster.local.", "2", redis, "NOERROR", "ANSWER: 0",
    ], done.err  # fmt: skip
