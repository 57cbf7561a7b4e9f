"""The two messages that begin a carrier: bytes in, values out.

Called by: tunnel/ (laptop) and agent/.
Owns: nothing.
Never: touches a socket; decides whom to believe (the agent compares the secret's digest).

    laptop -> agent   HELLO    "TPHELLO" version session[16] secret[32] received[8]
    agent -> laptop   WELCOME  "TPWELCO" version code[1]                received[8]

`received` counts the bytes of the tunnel that the sender has got so far (big-endian); the other
side goes on sending from there.  With IN_USE it counts the bytes of text that follow, which say who
has the agent.  docs/architecture.md, "The tunnel".
"""

import enum
import struct
from dataclasses import dataclass

from telepresence.errors import ProtocolError

VERSION = 1
SESSION_BYTES = 16
SECRET_BYTES = 32
HOLDER_CHARS = 200  # of a user, a machine and a time

_HELLO = struct.Struct(f"!7sB{SESSION_BYTES}s{SECRET_BYTES}sQ")
_WELCOME = struct.Struct("!7sBBQ")
_HELLO_MAGIC = b"TPHELLO"
_WELCOME_MAGIC = b"TPWELCO"
HELLO_BYTES = _HELLO.size
WELCOME_BYTES = _WELCOME.size


class Code(enum.IntEnum):
    """What the agent makes of a HELLO."""

    WELCOME = 0
    WRONG_SECRET = 1  # or another session's
    WRONG_VERSION = 2
    TOO_LATE = 3  # the replay buffer no longer holds what the laptop asks for
    BROKEN = 4  # the session has ended in an error
    IN_USE = 5  # a standing agent has another laptop's session; who, follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A laptop that wants to be the carrier of a session."""

    session: bytes
    secret: bytes
    received: int

    def __repr__(self) -> str:
        return f"Hello(session={self.session.hex()}, received={self.received})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The agent's answer; `received` means something only with WELCOME and IN_USE."""

    code: Code
    received: int


def make_hello(session: bytes, secret: bytes, received: int) -> bytes:
    """HELLO of a session's next carrier."""
    if len(session) != SESSION_BYTES or len(secret) != SECRET_BYTES:
        raise ValueError(f"session is {SESSION_BYTES} bytes and secret {SECRET_BYTES}")
    return _HELLO.pack(_HELLO_MAGIC, VERSION, session, secret, received)


def make_welcome(received: int) -> bytes:
    """The agent agrees and has received that many bytes."""
    return _WELCOME.pack(_WELCOME_MAGIC, VERSION, Code.WELCOME, received)


def make_refusal(code: Code) -> bytes:
    """The agent closes the carrier after this."""
    return _WELCOME.pack(_WELCOME_MAGIC, VERSION, code, 0)


def make_in_use(holder: str) -> bytes:
    """The same, saying who has the agent."""
    text = printable(holder).encode()
    return _WELCOME.pack(_WELCOME_MAGIC, VERSION, Code.IN_USE, len(text)) + text


def printable(text: str) -> str:
    """What may be shown to a user although another one wrote it."""
    return "".join(char for char in text if char.isprintable())[:HOLDER_CHARS]


def take_hello(data: bytes) -> Hello | None:
    """Read HELLO_BYTES from the front; None: feed more.

    ProtocolError for anything else, as soon as it can be told; its `reply` is what to answer."""
    _expect(data, _HELLO_MAGIC)
    if len(data) < HELLO_BYTES:
        return None
    _, _, session, secret, received = _HELLO.unpack_from(data)
    return Hello(session=session, secret=secret, received=received)


def take_welcome(data: bytes) -> Welcome | None:
    """Read WELCOME_BYTES from the front; None: feed more.  ProtocolError for anything else."""
    _expect(data, _WELCOME_MAGIC)
    if len(data) < WELCOME_BYTES:
        return None
    _, _, code, received = _WELCOME.unpack_from(data)
    try:
        return Welcome(code=Code(code), received=received)
    except ValueError as exc:
        raise ProtocolError(f"the agent answered with the unknown code {code}") from exc


def _expect(data: bytes, magic: bytes) -> None:
    if data[: len(magic)] != magic[: len(data)]:
        raise ProtocolError("this is not a Telepresence carrier")
    if len(data) > len(magic) and data[len(magic)] != VERSION:
        raise ProtocolError(
            f"the other side speaks version {data[len(magic)]} of the carrier, this one {VERSION}",
            hint="use an agent image of the client's own version",
            reply=make_refusal(Code.WRONG_VERSION),
        )
