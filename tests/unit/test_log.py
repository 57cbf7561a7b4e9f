"""The log file: its lines, its owner, and what never stands in it."""

import logging
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from telepresence import log
from telepresence.errors import UsageError
from telepresence.log import hide, log_place, mask, open_log

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z +\d+\.\d{3} [DIWEC] [\w.]+ \| (?P<text>.*)"
)


@pytest.fixture(autouse=True)
def the_root_logger_is_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        if handler not in handlers and isinstance(handler, logging.StreamHandler):
            handler.close()
            if hasattr(handler.stream, "name") and isinstance(handler.stream.name, int):
                handler.stream.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def texts(path: Path) -> list[str]:
    found = [LINE.fullmatch(line) for line in path.read_text().splitlines()]
    assert None not in found
    return [match["text"] for match in found if match]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [masked]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic [masked]"),
        ('{"token": "abc", "a": 1}', '{"token": "[masked]", "a": 1}'),
        ("password=hunter2&user=me", "password=[masked]&user=me"),
        ("PGPASSWORD=hunter2", "PGPASSWORD=[masked]"),
        (
            "api_key: k, api-key: k, apikey=k",
            "api_key: [masked], api-key: [masked], apikey=[masked]",
        ),
        ("client_secret='s'", "client_secret='[masked]'"),
        ('"password": "a b,c;d&e", "x": 1', '"password": "[masked]", "x": 1'),
        ("X-Auth-Token: Bearer abc", "X-Auth-Token: Bearer [masked]"),
        ("token: basic abc", "token: basic [masked]"),
        ("password='a\"b'", "password='[masked]'"),
        ('{"password": "abc', '{"password": [masked]'),
        (r'"{\"token\": \"abc\"}"', r'"{\"token\": \"[masked]\"}"'),
        ("the secret is 32 bytes", "the secret is 32 bytes"),
        ("a token of the bearer", "a token of the bearer"),
    ],
)
def test_what_follows_a_secrets_name_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_line_has_time_level_name_and_masked_text(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    open_log(str(path), verbose=False)
    logging.getLogger("telepresence.x").info("sent %s\nand %d more", "token=abc", 2)
    logging.getLogger("telepresence.x").info("")
    assert texts(path) == ["sent token=[masked]", "and 2 more", ""]


def test_a_trace_is_masked_too(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    open_log(str(path), verbose=False)
    try:
        int("Bearer abc")
    except ValueError:
        logging.getLogger("telepresence.x").exception("crash")
    assert texts(path)[0] == "crash"
    assert (
        texts(path)[-1] == "ValueError: invalid literal for int() with base 10: 'Bearer [masked]'"
    )


def test_only_its_owner_may_read_it_also_when_it_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    path.chmod(0o666)
    open_log(str(path), verbose=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == ""


def test_a_device_keeps_its_mode() -> None:
    mode = Path("/dev/null").stat().st_mode
    open_log("/dev/null", verbose=False)
    assert Path("/dev/null").stat().st_mode == mode


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    open_log("-", verbose=False)
    logging.getLogger("telepresence.x").warning("said")
    assert LINE.fullmatch(capsys.readouterr().out.rstrip("\n"))


@pytest.mark.parametrize("place", ["missing/a.log", "."])
def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match=r"cannot write the log file .*: \w+") as caught:
        open_log(str(tmp_path / place), verbose=False)
    assert "--logfile" in caught.value.hint


@pytest.mark.parametrize(("verbose", "expected"), [(False, []), (True, ["detail"])])
def test_verbose_adds_what_is_for_debugging_but_no_chatter(
    tmp_path: Path, verbose: bool, expected: list[str]
) -> None:
    path = tmp_path / "a.log"
    open_log(str(path), verbose=verbose)
    logging.getLogger("telepresence.x").debug("detail")
    logging.getLogger("asyncio").info("chatter")
    assert texts(path) == expected


def test_a_full_log_takes_only_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telepresence.log.LIMIT_BYTES", 4000)
    path = tmp_path / "log"
    open_log(str(path), verbose=False)
    for number in range(1000):
        logging.getLogger("a").info("again and again %d", number)
    logging.getLogger("a").warning("the carrier is lost")
    text = path.read_text()
    assert len(text) < 8000
    assert text.count("the log is full") == 1
    assert "the carrier is lost" in text.splitlines()[-1]


def test_hidden_values_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_hidden", set())
    hide(["hunter2", "hunter2-and-more", "first line\nsecond line", "it's\\", "no"])
    assert (
        mask("mysql: denied for hunter2-and-more, hunter2")
        == "mysql: denied for [masked], [masked]"
    )
    assert mask("a second line of it") == "a [masked] of it"
    assert mask(repr("it's\\")) == '"[masked]"'
    assert mask("no") == "no"


def test_the_logs_place_is_known_wherever_the_command_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log_place() == ""
    monkeypatch.chdir(tmp_path)
    open_log("a.log", verbose=False)
    assert log_place() == str(tmp_path / "a.log")
