"""Every value reaches the container, by a file or by the client's environment, or is named."""

from telepresence.method.container.variables import decodable, divide


def test_lines_multi_lines_and_what_cannot_be_given() -> None:
    text, named, left_out = divide({
        b"PLAIN": b"a b=c # d ",
        b"EMPTY": b"",
        b"MULTI": b"1\n2",
        b"RETURN": b"a\r",
        b"BYTES": b"\xff",
        b"#HASH": b"1",
        b"LONG": b"x" * 70_000,
        b"LD_PRELOAD": b"a\nb",
        b"DOCKER_HOST": b"tcp://1",
        b"HTTP_PROXY": b"http://1",
        b"A B": b"1",
    })  # fmt: skip
    assert text == b"DOCKER_HOST=tcp://1\nEMPTY=\nHTTP_PROXY=http://1\nPLAIN=a b=c # d \n"
    assert set(named) == {b"MULTI", b"RETURN", b"BYTES", b"#HASH", b"LONG"}
    assert left_out == [b"A B", b"LD_PRELOAD"]


def test_a_file_of_compose_takes_all_that_is_text() -> None:
    text, left_out = decodable({b"A": b"1\n2", b"U": "\u00fc".encode(), b"BYTES": b"\xff"})
    assert text == {"A": "1\n2", "U": "\u00fc"}
    assert left_out == [b"BYTES"]
