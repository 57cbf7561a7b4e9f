"""Every shell's prompt on a real terminal, with the start-up files of a user."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from terminals import Screen, terminal

from telepresence.prompt import with_prompt
from telepresence.values import Launch, Plan

CONTEXT = "east's $(echo ran) `echo ran` %F{red} \\u"
RC = {
    "bash": (".bashrc", "PS1='here> '\nPROMPT_COMMAND='LAST=$?;'\nOWN=bash"),
    "zsh": (".zshrc", "PROMPT='here> '\nOWN=zsh"),
    "fish": (".config/fish/config.fish",
             "function fish_prompt; echo -n 'here> '; end; set OWN fish"),
    "dash": (".profile", ""),
}  # fmt: skip
OWN = {"dash": ""}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def plan(program: str, *, is_shell: bool = True) -> Plan:
    return Plan(
        context=CONTEXT, namespace="prod", kubectl=None, pod_name="p", image="i", session=bytes(16),
        secret=bytes(32), method="inject-tcp", shim=None, program=program, argv=(program,),
        is_shell=is_shell, environ={},
    )  # fmt: skip


def launch(shell: str, home: Path, **environ: str) -> Launch:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"this machine has no {shell}: setup/packages.txt names it")
    own = {"HOME": str(home), "TERM": "xterm", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    given = {key.encode(): value.encode() for key, value in {**own, **environ}.items()}
    return with_prompt(Launch(program=program, argv=(program,), environ=given), plan(program))


@contextmanager
def started(shell: str, home: Path, **environ: str) -> Iterator[Screen]:
    made = launch(shell, home, **environ)
    env = {os.fsdecode(k): os.fsdecode(v) for k, v in made.environ.items()}
    with terminal(made.argv, env, cwd=home) as screen:
        yield screen


@pytest.mark.parametrize("shell", sorted(RC))
def test_it_names_the_context_before_the_users_own(shell: str, tmp_path: Path) -> None:
    rc, text = RC[shell]
    (tmp_path / rc).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / rc).write_text(text)
    prompt = f"@{CONTEXT}|" + ("$ " if shell == "dash" else "here> ")
    with started(shell, tmp_path) as screen:
        for number in (1, 2):
            assert "ran" not in screen.wait("> |[$] $").replace(CONTEXT, "")
            assert screen.seen.endswith(prompt)
            screen.type(f'echo "{number}-$OWN-$ZDOTDIR-done"\n')
            screen.wait(f"{number}-{OWN.get(shell, shell)}--done\r\n")
        screen.type("exit 3\n")
        assert screen.process.wait(20) == 3


def test_zsh_reads_the_files_of_a_place_of_the_users_own(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / ".zshenv").write_text("EARLY=yes\n")
    (own / ".zshrc").write_text("PROMPT='there> '\n")
    with started("zsh", tmp_path, ZDOTDIR=str(own)) as screen:
        screen.wait("there> ")
        screen.type('echo "[$EARLY $ZDOTDIR]"\n')
        screen.wait(f"\\[yes {own}\\]\r\n")


def test_a_theme_that_sets_the_prompt_each_time_keeps_it(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text('theme() { PS1="$((N += 1))> "; }\nPROMPT_COMMAND=theme\n')
    with started("bash", tmp_path) as screen:
        for number in (1, 2):
            assert screen.wait(f"{number}> ").endswith(f"@{CONTEXT}|{number}> ")
            screen.type("\n")


def test_a_command_and_an_unknown_shell_are_as_they_were(tmp_path: Path) -> None:
    for program, is_shell in (("/bin/bash", False), ("/bin/tcsh", True)):
        before = Launch(program=program, argv=(program, "-c", "true"), environ={b"A": b"1"})
        assert with_prompt(before, plan(program, is_shell=is_shell)) is before
    assert not list(tmp_path.iterdir())
