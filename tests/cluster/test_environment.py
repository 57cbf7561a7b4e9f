"""The container's environment in the process and in files."""

import json
import os
import stat
import subprocess
from pathlib import Path

import engine_rig
from laptop import lent
from rig import Telepresence, kubectl, objects
from workloads import Json, apply, until_ready, workload

INJECT = ("--method", "inject-tcp")
SHOW = ("/usr/bin/python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")


def test_files_are_complete_and_private_before_the_command_starts(
    telepresence: Telepresence,
) -> None:
    done = telepresence(*INJECT, "-n", "t-env-files", "--env-json", "e.json", "--env-file", "e.sh",
                        "--run", "sh", "-c", "stat -c '%a %n' e.json e.sh; cat e.json")  # fmt: skip
    lines = done.out.splitlines()
    assert lines[:2] == ["600 e.json", "600 e.sh"], done.err
    held = json.loads("\n".join(lines[2:]))
    (service,) = objects("services", "--field-selector=metadata.name=helloworld")
    assert held["HELLOWORLD_SERVICE_HOST"] == service["spec"]["clusterIP"]
    assert held["TELEPRESENCE_POD"] == "t-env-files"
    assert held["TELEPRESENCE_METHOD"] == "inject-tcp"
    assert not {"HOME", "PATH", "HOSTNAME"} & held.keys()
    assert "export TELEPRESENCE_POD='t-env-files'" in (telepresence.directory / "e.sh").read_text()
    assert stat.S_IMODE((telepresence.directory / "e.json").stat().st_mode) == 0o600


def test_patterns_choose_whose_value_it_is(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "--env-exclude", "REDIS_*", "--env-include", "HOSTNAME",
                        "-n", "t-env-names", "--run", *SHOW)  # fmt: skip
    environ = json.loads(done.out)
    assert not [name for name in environ if name.startswith("REDIS_")]
    assert "HELLOWORLD_SERVICE_HOST" in environ
    assert environ["HOSTNAME"] == "t-env-names"


def test_a_file_in_no_directory_is_refused_before_a_pod_is_made(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "--env-json", "no/such/e.json", "--run", "true")
    assert done.code == 2
    (line,) = done.said
    assert line.startswith("T: cannot write no/such/e.json: there is no directory no/such; name")
    assert "created pod" not in telepresence.log.read_text()


BIG = {f"BIG_{number}": chr(ord("a") + number) * 100_000 for number in range(11)}


def with_variables() -> Json:
    """A workload of two containers: one sets variables in every way, the other one of its own."""
    made = workload("web", replicas=1)
    template = made["spec"]["template"]
    (main,) = template["spec"]["containers"]
    main["envFrom"] = [
        {"configMapRef": {"name": "big-0"}}, {"configMapRef": {"name": "big-1"}},
        {"secretRef": {"name": "keys"}, "prefix": "KEY_"},
    ]  # fmt: skip
    main["env"] = [
        {"name": "FIRST", "value": "one"},
        {"name": "SECOND", "value": "$(FIRST) and $(NONE) and $$(FIRST)"},
        {"name": "THIRD", "value": "$(KEY_JSON) of $(KUBERNETES_SERVICE_HOST)"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        {"name": "PEM", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "PEM"}}},
        {"name": "EMPTY"},
        {"name": "LD_LIBRARY_PATH", "value": "/of/the/pod"},
    ]
    main["resources"] = {"limits": {"memory": "300Mi"}}
    other = {**main, "name": "other", "command": ["python3", "-m", "http.server", "8081"]}
    template["spec"]["containers"] = [
        {**other, "env": [{"name": "ONLY", "value": "of the other"}], "envFrom": []}, main
    ]  # fmt: skip
    return made


def test_every_way_to_set_a_variable_and_a_megabyte_of_them(
    telepresence: Telepresence, namespace: str
) -> None:
    """A ConfigMap holds a megabyte at most, so two; one variable holds 128 KiB (execve(2))."""
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"big-{part}"},
         "data": dict(list(BIG.items())[part::2])}
        for part in (0, 1)
    ]  # fmt: skip
    words = {"PEM": "-----\ntwo\nlines\n-----\n", "JSON": '{"a": "$b"}'}
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": words,
    }  # fmt: skip
    for item in maps:  # apply would write all of it into an annotation, too
        kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(item))
    apply(namespace, secret, with_variables())
    until_ready(namespace, "deployment/web")
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "web:app", "--env-file", "e.env",
                        "--env-json", "e.json", "--run", *SHOW)  # fmt: skip
    environ = json.loads(done.out)
    assert environ.items() >= BIG.items()
    assert sum(map(len, BIG.values())) > 1 << 20
    assert environ["KEY_PEM"] == environ["PEM"] == "-----\ntwo\nlines\n-----\n"
    assert environ["KEY_JSON"] == '{"a": "$b"}'
    assert environ["SECOND"] == "one and $(NONE) and $(FIRST)"
    api = environ["KUBERNETES_SERVICE_HOST"]
    assert environ["THIRD"] == f"{environ['KEY_JSON']} of {api}"
    assert (environ["LABEL"], environ["MEMORY"]) == ("web", str(300 << 20))
    (node,) = {pod["spec"]["nodeName"] for pod in objects("pods", "-n", namespace)}
    assert environ["NODE"] == node
    assert environ["EMPTY"] == ""
    assert environ.get("LD_LIBRARY_PATH") == os.environ.get("LD_LIBRARY_PATH")
    assert environ["TELEPRESENCE_CONTAINER"] == "app"
    assert "ONLY" not in environ
    (note,) = (line for line in done.said if "--env-file" in line)
    assert "KEY_PEM, PEM; they are left out" in note
    assert 'KEY_JSON=\'{"a": "$b"}\'\n' in (telepresence.directory / "e.env").read_text()
    held = json.loads((telepresence.directory / "e.json").read_text())
    assert held.items() >= BIG.items()
    assert held["PEM"] == environ["PEM"]
    done = telepresence(*INJECT, "--namespace", namespace, "-s", "web:other", "--run", *SHOW)
    environ = json.loads(done.out)
    assert (environ["ONLY"], environ["TELEPRESENCE_CONTAINER"]) == ("of the other", "other")
    assert not BIG.keys() & environ.keys()


ODD = {
    "JSON": '{"a": [1, "$b"]}', "SPACES": "  two  ", "DOLLAR": "$HOME $$", "HASH": "a #b",
    "DOUBLE": '"quoted"', "TICKS": "`id` $(id)", "BACK": "C:\\dir", "UTF8": "pät → h", "NONE": "",
    "SINGLE": "it's", "BRACES": "${HOME}", "TWO": "one\ntwo", "LONG": "x y" * 30_000,
}  # fmt: skip
NOT_HELD = {"docker": {"TWO", "LONG"}, "compose": {"TWO", "BRACES"}}


def test_docker_and_compose_give_a_container_what_was_written(
    telepresence: Telepresence, namespace: str, engine: str
) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "odd"}, "stringData": ODD}
    made = workload("web", replicas=1)
    (main,) = made["spec"]["template"]["spec"]["containers"]
    main["envFrom"] = [{"secretRef": {"name": "odd"}}]
    apply(namespace, secret, made)
    until_ready(namespace, "deployment/web")
    service = {"image": engine_rig.BASE, "env_file": ["e.compose"], "network_mode": "none"}
    file = {"version": "3", "services": {"web": service}}
    (telepresence.directory / "compose.json").write_text(json.dumps(file))
    compose = ["docker-compose", "--file", "compose.json", "--no-ansi", "run", "--rm", "web"]
    readers = {
        "docker": ["docker", "run", "--rm", "--env-file", "e.docker", engine_rig.BASE],
        "compose": compose,
    }
    for syntax, words in readers.items():
        done = telepresence(*INJECT, "--namespace", namespace, "-s", "web", "--env-file",
                            f"e.{syntax}", "--env-syntax", syntax, "--run", "true")  # fmt: skip
        (note,) = (line for line in done.said if "--env-file" in line)
        left_out = note.partition("values of ")[2].partition(";")[0].split(", ")
        assert set(left_out) == NOT_HELD[syntax]
        shown = subprocess.run(
            [*words, "env", "-0"], cwd=telepresence.directory, capture_output=True, check=True,
            timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        entries = (entry.partition("=") for entry in shown.stdout.decode().split("\0"))
        seen = {key: value for key, _, value in entries}
        held = {key: value for key, value in ODD.items() if key not in left_out}
        assert {key: seen.get(key) for key in held} == held, syntax


def test_every_method_says_where_the_command_is(
    telepresence: Telepresence, engine_left_as_it_was: None, tmp_path: Path
) -> None:
    """inject-tcp and container; vpn-tcp on a laptop of its own."""
    names = ("POD", "CONTAINER", "METHOD", "ROOT", "MOUNTS")
    script = "echo " + " ".join(f"${{TELEPRESENCE_{name}}}" for name in names)
    mounts = "/var/run/secrets/kubernetes.io/serviceaccount"
    for method, words in (
        ("inject-tcp", ("--run", "sh", "-c", script)),
        ("container", (*engine_rig.RUN, engine_rig.BASE, "sh", "-c", script)),
    ):
        done = telepresence("-m", method, "-n", f"t-says-{method[:3]}", *words)
        pod, container, said, root, places = done.out.split()
        assert (pod, container, said) == (f"t-says-{method[:3]}", "telepresence", method)
        assert root.startswith("/")
        assert places == mounts
    with lent(tmp_path, "-says") as laptop:
        done = laptop("-n", "t-says-vpn", "--run", "sh", "-c", script)
        pod, container, said, root, places = done.out.split()
        assert (pod, container, said) == ("t-says-vpn", "telepresence", "vpn-tcp")
        assert Path(root).name == "fs"
        assert places == mounts
