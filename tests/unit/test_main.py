"""The whole command as a process, as far as it goes without a cluster."""

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from telepresence import __version__

DEADLINE_S = 20.0


def telepresence(place: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "telepresence", *words],
        cwd=place, env={"PATH": os.environ["PATH"], "HOME": str(place), **environ},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip


def test_version_and_help_touch_nothing(tmp_path: Path) -> None:
    done = telepresence(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")
    done = telepresence(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: telepresence ")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_exit_code_2_and_no_log(tmp_path: Path) -> None:
    done = telepresence(tmp_path, "--bogus")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "T: unrecognized arguments: --bogus; telepresence --help lists every option",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_exit_code_2(tmp_path: Path) -> None:
    done = telepresence(tmp_path, "--logfile", "missing/log", "--run", "true")
    assert done.returncode == 2
    assert done.stderr.startswith("T: cannot write the log file missing/log: ")


def test_no_cluster_is_exit_code_255_and_in_the_owners_log(tmp_path: Path) -> None:
    done = telepresence(tmp_path, "--run", "true", KUBECONFIG=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (255, "")
    assert done.stderr.startswith("T: no current context")
    log = tmp_path / "telepresence.log"
    assert "no current context" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["{]", "- 1"])
def test_a_torn_kubeconfig_is_no_bug_of_ours(tmp_path: Path, text: str) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(text)
    done = telepresence(tmp_path, "--run", "true", KUBECONFIG=str(kubeconfig))
    assert done.returncode == 255
    assert "Traceback" not in done.stderr
    assert "a bug" not in done.stderr


def test_the_words_of_the_command_are_not_in_the_log(tmp_path: Path) -> None:
    """They may hold a secret that no mask knows."""
    telepresence(tmp_path, "--run", "true", "hunter2", KUBECONFIG=str(tmp_path / "none"))
    assert "hunter2" not in (tmp_path / "telepresence.log").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "--expose abc", "--expose 1:2:3", "--expose 99999999", "--expose 0", "--expose 80:",
        "--expose 80 --expose 81:80", "--expose 81:80 --from-pod 80", "--to-pod 1 --to-pod 1",
        "--to-pod x", "--to-pod 80 --expose 80:81", "--container-to-host x", "-s ''", "-s a:",
        "-s a/b/c", "-d ''", "-n ''", "-n A", "-n a -s b", "-n a -d b", "-s a -d b",
        "--serviceaccount ''", "--context ''", "--namespace ''", "--image ''", "--logfile ''",
        "--image-pull-secret ''", "--also-proxy 'a b'", "--never-proxy name", "--method bogus",
        "--inject bogus", "--mount foo", "--docker-mount x", "--mount /x --docker-mount /y",
        "--env-json ''", "--env-syntax ini", "--run-shell --run x", "--run", "--verb", "word",
        "--logfile", "--logfile missing/log --run true", "status --bogus", "restore word",
        "--run-shell --docker-run x",
    ],
)  # fmt: skip
def test_each_misuse_is_exit_code_2_and_one_line(tmp_path: Path, line: str) -> None:
    done = telepresence(tmp_path, *shlex.split(line))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("T: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_context_that_is_not_there_is_exit_code_2(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("contexts: [{name: east}]")
    done = telepresence(tmp_path, "--context", "west", "--run", "true", KUBECONFIG=str(kubeconfig))
    assert done.returncode == 2
    assert done.stderr == "T: the kubeconfig has no context west; it has: east\n"
