"""The container's environment in the process and in files."""

import json
import stat

from rig import Telepresence, objects

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
    assert done.said[0] == "T: cannot write no/such/e.json: there is no directory no/such"
    assert "created pod" not in telepresence.log.read_text()
