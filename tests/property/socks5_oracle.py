"""SOCKS5 once more, as short as Python can say it: what the C codec is held against.

Called by: test_socks5.py.
Owns: nothing.
Never: shares a line with the C codec; where the two differ, RFC 1928 or RFC 1929 decides.

take_*(data) returns (eaten, value), None for "more", or raises RefusedError.
"""

from dataclasses import dataclass


class RefusedError(Exception):
    """These bytes cannot become this message."""


@dataclass(frozen=True)
class Address:
    atyp: int
    host: bytes
    port: int


Taken = tuple[int, object] | None


def counted(data: bytes, at: int) -> bytes | None:
    """A length byte and as many bytes behind it."""
    if len(data) <= at or len(data) < at + 1 + data[at]:
        return None
    return data[at + 1 : at + 1 + data[at]]


def check_version(data: bytes, version: int) -> None:
    if data and data[0] != version:
        raise RefusedError


def take_greeting(data: bytes) -> Taken:
    check_version(data, 5)
    methods = counted(data, 1)
    return None if methods is None else (2 + len(methods), methods)


def take_userpass(data: bytes) -> Taken:
    check_version(data, 1)
    user = counted(data, 1)
    password = None if user is None else counted(data, 2 + len(user))
    if user is None or password is None:
        return None
    return 3 + len(user) + len(password), (user, password)


def take_message(data: bytes) -> Taken:
    """A request or an answer: (eaten, (command or code, Address))."""
    check_version(data, 5)
    if len(data) < 4:
        return None
    atyp = data[3]
    if atyp not in (1, 3, 4):
        raise RefusedError
    if atyp == 3 and len(data) > 4 and data[4] == 0:
        raise RefusedError
    host = counted(data, 4) if atyp == 3 else data[4 : 8 if atyp == 1 else 20]
    end = 4 + (atyp == 3) + (len(host or b"") if atyp == 3 else {1: 4, 4: 16}[atyp]) + 2
    if host is None or len(data) < end:
        return None
    if atyp == 3 and b"\0" in host:
        raise RefusedError
    return end, (data[1], Address(atyp, host, int.from_bytes(data[end - 2 : end], "big")))


def make_message(code: int, address: Address) -> bytes:
    length = bytes([len(address.host)]) if address.atyp == 3 else b""
    port = address.port.to_bytes(2, "big")
    return bytes([5, code, 0, address.atyp]) + length + address.host + port


def take_datagram(data: bytes) -> Taken:
    """(eaten, Address); a datagram is whole, so there is no more to come."""
    if len(data) < 4 or data[2] != 0:
        raise RefusedError
    taken = take_message(b"\5\0\0" + data[3:])
    if taken is None:
        raise RefusedError
    return taken[0], taken[1][1]  # type: ignore[index]


def make_datagram(address: Address) -> bytes:
    return b"\0" + make_message(0, address)[1:]


def take_replies(data: bytes, *, with_password: bool) -> Taken:
    """What a client of one method gets for greeting, password and request: (eaten, Address).

    Raises RefusedError with the name of the errno that connect(2) gives."""
    welcome = b"\5\2\1\0" if with_password else b"\5\0"
    versions = {0: 5, 2: 1}
    for at, byte in enumerate(data[: len(welcome)]):
        if at in versions and byte != versions[at]:
            raise RefusedError("EPROTO")
        if at % 2 == 1 and byte != welcome[at]:
            raise RefusedError("EACCES")
    if len(data) < len(welcome):
        return None
    try:
        taken = take_message(data[len(welcome) :])
    except RefusedError as refused:
        raise RefusedError("EPROTO") from refused
    if taken is None:
        return None
    eaten, (code, address) = taken  # type: ignore[misc]
    if code != 0:
        raise RefusedError(ERRORS.get(code, "ECONNABORTED"))
    return len(welcome) + eaten, address


# RFC 1928 section 6, in the words of connect(2).
ERRORS = {
    2: "EACCES",
    3: "ENETUNREACH",
    4: "EHOSTUNREACH",
    5: "ECONNREFUSED",
    6: "ETIMEDOUT",
    7: "ENOTSUP",  # the same number as EOPNOTSUPP
    8: "EAFNOSUPPORT",
}
