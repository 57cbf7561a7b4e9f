"""vpn-tcp on a laptop: every program of it is in the cluster, and afterwards nothing is left."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from laptop import Laptop
from rig import COMMAND, kubectl, objects


def cluster_ip(service: str) -> str:
    return str(kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}"))


def test_every_form_of_a_name_and_every_kind_of_address(laptop: Laptop) -> None:
    forms = ["helloworld", "helloworld.default", "helloworld.default.svc",
             "helloworld.default.svc.cluster.local", cluster_ip("helloworld"), "web-0.web",
             "web-1.web.default"]  # fmt: skip
    script = "; ".join(f"curl -sS -m 10 http://{form} | cut -c1-5" for form in forms)
    done = laptop("--run", "sh", "-c", script)
    assert done.out.split() == ["Hello"] * len(forms), done.err


def test_pods_by_their_own_addresses(laptop: Laptop) -> None:
    ips = [pod["status"]["podIP"] for pod in objects("pods", "-l", "app=web")]
    assert len(ips) == 2
    done = laptop("--run", "sh", "-c", f"for ip in {' '.join(ips)}; do curl -sS -m 10 $ip; done")
    assert "web-0" in done.out
    assert "web-1" in done.out


def test_dig_gets_true_answers_of_every_type(laptop: Laptop) -> None:
    ip = cluster_ip("redis-master")
    script = f"""
status() {{ dig "$@" | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'; }}
for name in redis-master redis-master.default redis-master.default.svc.cluster.local; do
  echo $(status $name) $(dig +short $name | tail -1) $(dig +tcp +short $name | tail -1) \\
    $(status AAAA $name) $(dig +short AAAA $name | grep :)
done
echo srv $(dig +short SRV _http._tcp.helloworld.default | tail -1)
echo ptr $(dig +short -x {ip})
echo headless $(dig +short web | grep -c '^10[.]')
status no-such.default.svc.cluster.local
status no-such
echo public $(dig +short www.internet.example) $(dig +short TXT corp.example)
"""
    lines = laptop("--run", "bash", "-c", script).out.splitlines()
    assert lines[:3] == [f"NOERROR {ip} {ip} NOERROR"] * 3
    assert lines[3:] == [
        "srv 0 100 80 helloworld.default.svc.cluster.local.",
        "ptr redis-master.default.svc.cluster.local.",
        "headless 2",
        "NXDOMAIN",
        "NXDOMAIN",
        'public 198.18.0.1 "the company\'s own zone"',
    ]


def test_libc_sees_no_ipv6_address_where_there_is_none(laptop: Laptop) -> None:
    script = """
getent ahostsv4 redis-master | head -1; getent ahostsv6 redis-master | head -1
getent hosts no-such; echo $?
"""
    done = laptop("--run", "sh", "-c", script)
    ip = cluster_ip("redis-master")
    first, second, code = done.out.splitlines()
    assert first.split()[0] == ip
    assert second.split()[0] == f"::ffff:{ip}"  # getent's own AI_V4MAPPED
    assert code == "2"


def test_external_names(laptop: Laptop, namespace: str) -> None:
    kubectl("create", "service", "externalname", "alias", "-n", namespace,
            "--external-name", "helloworld.default.svc.cluster.local")  # fmt: skip
    done = laptop("--run", "sh", "-c", f"dig +short alias.{namespace} | head -2; "
                  f"curl -sS -m 10 http://alias.{namespace} | cut -c1-5")  # fmt: skip
    assert done.out.splitlines()[-1] == "Hello", done.err


def test_the_laptops_own_names_and_web_stay_its_own(laptop: Laptop) -> None:
    done = laptop("--run", "sh", "-c", "curl -sS http://www.internet.example; curl -sS "
                  "http://intranet; curl -sS http://intranet.corp.example")  # fmt: skip
    assert [line.split(",")[0] for line in done.out.splitlines()] == ["Hello from the Internet"] * 3


def test_a_company_name_is_never_a_cluster_name_by_accident(laptop: Laptop, namespace: str) -> None:
    """`wiki` is the company's, and a Service is called so too."""
    kubectl("create", "service", "clusterip", "wiki", "-n", namespace, "--tcp=80")
    done = laptop("--namespace", namespace, "--run", "dig", "+short", "wiki.corp.example")
    assert done.out == "198.18.0.80\n"


def test_a_service_that_did_not_exist_at_the_start(laptop: Laptop, namespace: str) -> None:
    with laptop.running("--run", "sh", "-c", f"read x; getent hosts later.{namespace}") as process:
        laptop.wait_log("names work")
        kubectl("create", "service", "clusterip", "later", "-n", namespace, "--tcp=80")
        wanted = kubectl("get", "service", "later", "-n", namespace,
                         "-o", "jsonpath={.spec.clusterIP}")  # fmt: skip
        time.sleep(1)  # the cluster's DNS has to hear of it
        out, _ = process.communicate("go\n", timeout=30)
    assert out.split()[0] == wanted


def test_another_shell_of_the_laptop_is_in_the_cluster_too(laptop: Laptop) -> None:
    with laptop.running("--run", "sleep", "60"):
        laptop.wait_log("started")
        assert laptop.run("curl", "-sS", "-m", "10", "http://helloworld").startswith("Hello")


def test_also_proxy_by_address_range_and_name_and_never_proxy(laptop: Laptop) -> None:
    """The Internet's web server is another one, or none, for the pod."""
    ask = "curl -sS -m 5 http://198.18.0.1 | cut -c1-23"
    for words, own in (
        (("--also-proxy", "198.18.0.1"), False),
        (("--also-proxy", "198.18.0.0/24", "--never-proxy", "198.18.0.1"), True),
    ):
        done = laptop(*words, "--run", "sh", "-c", ask)
        assert (done.out == "Hello from the Internet\n") is own, (words, done.out, done.err)
    done = laptop("--also-proxy", "helloworld.default.svc.cluster.local", "--run", "true")
    assert done.code == 0, done.err
    done = laptop("--also-proxy", "no-such-host.invalid", "--run", "true")
    assert done.code == 255
    assert "no-such-host.invalid" in done.err


def test_ping_and_traceroute_say_what_they_cannot(laptop: Laptop) -> None:
    done = laptop("--run", "sh", "-c", "ping -c 1 redis-master; echo $?; traceroute x; echo $?")
    assert done.out.split() == ["55", "55"]
    assert "ICMP" in done.err


@pytest.mark.parametrize("has_sudo", [True, False])
def test_without_a_privilege_it_is_refused_before_anything_is_changed(
    tmp_path: Path, kubeconfig: Path, has_sudo: bool
) -> None:
    """As the default method, by one line that says what to do."""
    if os.geteuid() != 0:
        pytest.skip("only root can become a user whom sudo does not know")
    nobody = pwd.getpwnam("nobody")
    own = tmp_path / "kubeconfig"
    shutil.copy(kubeconfig, own)
    for path in (own, tmp_path):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    done = subprocess.run(
        [str(COMMAND), "-n", "t-vpn-nobody", "--run", "/bin/true"], cwd=tmp_path,
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], stdin=subprocess.DEVNULL,
        env={"KUBECONFIG": str(own), "HOME": str(tmp_path),
             "PATH": "/usr/local/bin:/usr/bin:/bin" if has_sudo else str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 255
    assert "sudo" in done.stderr
    assert "-m inject-tcp" in done.stderr.splitlines()[-1]
    if not has_sudo:
        assert len(done.stderr.splitlines()) == 1
    assert "created pod" not in (tmp_path / "telepresence.log").read_text()
