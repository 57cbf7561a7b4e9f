"""Images of every kind in the pod's place: servers, static and musl programs, and no shell."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import terminal

from engine_rig import BASE, RUN, built, docker, image, proxies, put
from rig import Telepresence, kubectl
from workloads import apply, asked, until, until_ready, workload

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")

NGINX = """
daemon off; user root; error_log stderr; pid /tmp/nginx.pid;
events {}
http { server { listen 80; return 200 "nginx in a container"; } }
"""
GO = """
package main
import ("fmt"; "io"; "net"; "net/http"; "os")
func main() {
	_, records, err := net.LookupSRV("http", "tcp", "helloworld.default.svc.cluster.local")
	if err != nil { fmt.Println(err); os.Exit(1) }
	for _, one := range records { fmt.Println(one.Target, one.Port) }
	for _, name := range os.Args[1:] {
		answer, err := http.Get("http://" + name)
		if err != nil { fmt.Println(err); os.Exit(1) }
		said, _ := io.ReadAll(answer.Body)
		fmt.Println(string(said)[:12])
	}
}
"""
MUSL = """
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int n, char **names)
{
	for (int i = 1; i < n; i++) {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		char said[13] = "";
		if (getaddrinfo(names[i], "80", &hints, &found) != 0)
			return 1;
		if (connect(fd, found->ai_addr, found->ai_addrlen) != 0)
			return 2;
		dprintf(fd, "GET / HTTP/1.0\\r\\n\\r\\n");
		read(fd, said, 12);
		puts(said);
	}
	return 0;
}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """Debian's nginx under the name that everybody knows; its Dockerfile exposes port 80."""
    folder = tmp_path / "nginx"
    put(folder / "root", "nginx")
    (folder / "nginx.conf").write_text(NGINX)
    text = f"""
FROM {BASE}
COPY root /
COPY nginx.conf /nginx.conf
RUN ["mkdir", "-p", "/var/log/nginx", "/var/lib/nginx"]
EXPOSE 80
CMD ["nginx", "-c", "/nginx.conf"]
"""
    with built("nginx:latest", folder, text) as name:
        yield name


@pytest.mark.usefixtures("nginx")
def test_a_deployment_swapped_with_nginx(telepresence: Telepresence, asker: str) -> None:
    """Word for word as it is typed at a terminal, in the context's own namespace."""
    made = workload("web", replicas=1)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
               "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}  # fmt: skip
    apply(asker, made, service)
    until_ready(asker, "deployment/web")
    own = telepresence.directory / "kubeconfig"
    own.write_text(kubectl("config", "view", "--raw", "--flatten"))
    kubectl("config", f"--kubeconfig={own}", "set-context", "--current", f"--namespace={asker}")
    typed = "--swap-deployment web --expose 80 --docker-run -it nginx:latest"
    words = telepresence.argv(*typed.split())
    env = telepresence.environ({"KUBECONFIG": str(own)})
    with terminal(words, env, telepresence.directory) as screen:
        ask = ("curl", "-s", "-m", "5", "http://web")
        until(lambda: asked(asker, *ask).stdout == "nginx in a container")
        screen.type("\x03")  # Ctrl-C
        screen.process.wait(30)
    until_ready(asker, "deployment/web")


def test_all_that_an_image_exposes_is_published(telepresence: Telepresence, nginx: str) -> None:
    with telepresence.running(*RUN, "-P", nginx):
        telepresence.wait_log("stage: process started")
        (proxy,) = proxies()
        address = docker("port", proxy, "80/tcp").split()[0].replace("0.0.0.0", "127.0.0.1")

        def answers() -> bool:
            try:
                said = urllib.request.urlopen(f"http://{address}", timeout=5).read()
            except OSError:
                return False
            return bool(said == b"nginx in a container")

        until(answers, 30)


def test_redis(telepresence: Telepresence, asker: str, tmp_path: Path) -> None:
    put(tmp_path / "root", "redis-server")
    (tmp_path / "root" / "tmp").mkdir()
    changes = ('ENTRYPOINT ["/usr/bin/redis-server", "--dir", "/tmp", "--save", ""]', "USER 4711")
    words = ("--namespace", asker, "-n", "kept", "--expose", "6379")
    talk = """
import socket
with socket.create_connection(("kept", 6379), 5) as s, s.makefile("rw", newline="\\r\\n") as f:
    f.write("SET k v\\r\\nGET k\\r\\n")
    f.flush()
    print(*(f.readline().strip() for _ in range(3)))
"""
    with image("t-redis:1", tmp_path / "root", *changes) as name:  # noqa: SIM117 # in this order
        with telepresence.running(*words, *RUN, name):
            until(lambda: asked(asker, "python3", "-c", talk).stdout == "+OK $1 v\n", 30)


def test_a_go_program_that_is_static_and_alone(telepresence: Telepresence, tmp_path: Path) -> None:
    """Go's own resolver reads the container's resolv.conf and asks by UDP."""
    (tmp_path / "main.go").write_text(GO)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["go", "build", "-o", root / "ask", "main.go"], cwd=tmp_path, check=True,
                   env={"PATH": "/usr/bin:/usr/local/bin", "CGO_ENABLED": "0",
                        "HOME": str(Path.home()), "GO111MODULE": "off"})  # fmt: skip
    names = ("helloworld", "helloworld.default", "helloworld.default.svc.cluster.local")
    with image("t-go:1", root, 'ENTRYPOINT ["/ask"]', "USER 65534:65534") as name:
        done = telepresence(*RUN, "--read-only", name, *names)
    record = "helloworld.default.svc.cluster.local. 80"
    assert done.out.splitlines() == [record, *["Hello, world"] * 3], done.err


def test_a_program_of_musl(telepresence: Telepresence, tmp_path: Path) -> None:
    (tmp_path / "ask.c").write_text(MUSL)
    root = tmp_path / "root"
    (root / "lib").mkdir(parents=True)
    subprocess.run(["musl-gcc", "-o", root / "ask", tmp_path / "ask.c"], check=True)
    loader = Path("/lib/ld-musl-x86_64.so.1").resolve()
    (root / "lib" / "ld-musl-x86_64.so.1").write_bytes(loader.read_bytes())
    (root / "lib" / "ld-musl-x86_64.so.1").chmod(0o755)
    names = ("helloworld", "helloworld.default", "helloworld.default.svc.cluster.local")
    with image("t-musl:1", root, 'ENTRYPOINT ["/ask"]') as name:
        done = telepresence(*RUN, name, *names)
    assert (done.code, done.out.split()) == (0, ["HTTP/1.1", "200"] * 3), (done.out, done.err)


def test_host_aliases_and_variables_of_many_lines(
    telepresence: Telepresence, namespace: str
) -> None:
    made = workload("web", replicas=1)
    spec = made["spec"]["template"]["spec"]
    spec["hostAliases"] = [{"ip": "192.0.2.7", "hostnames": ["foo.local", "bar.local"]}]
    lines = "first line = \"1\"\n$HOME 'x' \\\n\n# end"
    spec["containers"][0]["env"] = [{"name": "LINES_OF_IT", "value": lines.replace("$", "$$")},
                                    {"name": "JSON", "value": '{"a": "b"}'}]  # fmt: skip
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    words = ("--namespace", namespace, "-s", "web", *RUN, BASE, "sh", "-c")
    script = 'getent hosts foo.local bar.local; printf "%s|" "$JSON" "$LINES_OF_IT"'
    done = telepresence(*words, script)
    first, second, rest = done.out.split("\n", 2)
    assert first.split() == ["192.0.2.7", "foo.local", "bar.local"], done.err
    assert second.split()[0] == "192.0.2.7"
    assert rest == f'{{"a": "b"}}|{lines}|'


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--network", "host"), "--network cannot be given"),
     (("--hostname=x",), "--hostname cannot be given"), (("--dns", "1.1.1.1"), "--dns cannot be"),
     (("--add-host", "a:192.0.2.1"), "--add-host cannot be given"),
     (("--mac-address", "02:42:ac:11:65:43"), "--mac-address cannot be given")],
)  # fmt: skip
def test_what_clashes_is_one_line_and_changes_nothing(
    telepresence: Telepresence, words: tuple[str, ...], said: str
) -> None:
    done = telepresence(*RUN, *words, BASE, "true")
    assert done.code == 2
    assert said in done.said[0]
    assert "created pod" not in telepresence.log.read_text()


def test_an_engine_elsewhere_is_refused(telepresence: Telepresence) -> None:
    began = time.monotonic()
    done = telepresence(*RUN, BASE, "true", env={"DOCKER_HOST": "tcp://192.0.2.1:2375"})
    assert (done.code, "on another machine (tcp://192.0.2.1:2375)" in done.said[0]) == (255, True)
    assert time.monotonic() - began < 10
