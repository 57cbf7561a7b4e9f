"""What is run in the place of programs that cannot work."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from telepresence.method.substitutes import EXIT_CODE, put_substitutes
from telepresence.values import Launch


def launch(*argv: str, program: str = "/bin/x", **environ: bytes) -> Launch:
    return Launch(program=program, argv=argv, environ={b"HOME": b"/", **{
        key.encode(): value for key, value in environ.items()}})  # fmt: skip


def run(made: Launch) -> subprocess.CompletedProcess[str]:
    return subprocess.run(made.argv, executable=made.program, env=made.environ,
                          capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.parametrize("name", ["ping", "traceroute"])
def test_what_needs_icmp_says_so_and_exits_55(tmp_path: Path, name: str) -> None:
    done = run(put_substitutes(launch(name, "redis"), tmp_path / "bin"))
    assert (done.returncode, done.stdout) == (EXIT_CODE, "") == (55, "")
    assert done.stderr.startswith(f"T: {name} cannot work with --method inject-tcp: ")
    assert "ICMP" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_shell_finds_them_before_the_real_ones(tmp_path: Path) -> None:
    script = launch(
        "sh", "-c", "traceroute redis; echo $?", program="/bin/sh", PATH=b"/usr/bin:/bin"
    )
    done = run(put_substitutes(script, tmp_path / "bin"))
    assert done.stdout == "55\n"
    assert "traceroute cannot work" in done.stderr


def test_what_asks_name_servers_is_the_users_own(tmp_path: Path) -> None:
    made = put_substitutes(launch("dig", program="/usr/bin/dig"), tmp_path / "bin")
    assert made.program == "/usr/bin/dig"
    assert not (tmp_path / "bin" / "dig").exists()
    assert made.environ[b"HOME"] == b"/"


def test_a_path_is_taken_at_its_word(tmp_path: Path) -> None:
    made = put_substitutes(launch("/bin/ping", program="/bin/ping", PATH=b"/a:/b"),
                           tmp_path / "bin")  # fmt: skip
    assert made.program == "/bin/ping"
    assert made.environ[b"PATH"] == os.fsencode(tmp_path / "bin") + b":/a:/b"


def test_proot_shows_directories_where_the_machine_has_none(tmp_path: Path) -> None:
    """By itself, Debian's 5.1 lets statx(2) through untranslated."""
    if shutil.which("proot") is None:
        pytest.skip("there is no proot on this machine")
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "there" / "deep" / "file").write_text("x")
    path = os.environ["PATH"].encode()
    script = "cd /; ls /no/such/place/deep; stat -c %s /no/such/place/deep/file; test -d $(pwd)"
    words = ("proot", "-b", f"{tmp_path}/there:/no/such/place", "sh", "-c", script)
    for program, argv in (
        ("/usr/bin/proot", words),
        ("/bin/sh", ("sh", "-c", '"$0" "$@"', *words)),
    ):
        made = put_substitutes(launch(*argv, program=program, PATH=path), tmp_path / program[1:4])
        done = run(made)
        assert (done.stdout, done.stderr) == ("file\n1\n", "")


def test_where_there_is_no_proot_there_is_none(tmp_path: Path) -> None:
    put_substitutes(launch("sh", PATH=b"/none"), tmp_path / "bin")
    assert not (tmp_path / "bin" / "proot").exists()
