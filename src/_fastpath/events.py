"""What the engine tells Python.

Called by: engine.pyx makes them, tunnel/ and agent/ read them.
Owns: nothing; the taker of a ServiceOpened owns its fd.
Never: anything per byte."""

from typing import NamedTuple, TypedDict


class CarrierLost(NamedTuple):
    """The tunnel has no carrier any more and waits for the next one."""

    tunnel: int
    received: int  # bytes so far, for the next HELLO
    error: int  # errno, 0: the peer closed it


class TunnelBroken(NamedTuple):
    """The peer broke the protocol or memory ran out: all streams are reset, the tunnel is dead."""

    tunnel: int
    error: int


class ServiceOpened(NamedTuple):
    """Agent: the laptop opened a stream to a named service; `fd` is a non-blocking Unix socket.

    It may be the input and output of a process, made blocking (os.set_blocking) and closed here:
    bytes then flow without Python, and what the process has said arrives though it has ended."""

    tunnel: int
    name: str
    fd: int


class Listening(NamedTuple):
    """Laptop: the pod listens for a Listener, or does not, or no longer."""

    tunnel: int
    listener: int  # its number
    port: int  # of the pod
    error: int  # errno, 0: it listens


class DialRefused(NamedTuple):
    """Laptop: a connection to an exposed port found nobody here; once until it is taken."""

    tunnel: int
    listener: int
    port: int  # of the pod
    error: int


Event = CarrierLost | TunnelBroken | ServiceOpened | Listening | DialRefused


class RawEvent(TypedDict):
    """struct engine_event of loop.h, but for its links."""

    kind: int
    tunnel: int
    received: int
    listener: int
    port: int
    error: int
    fd: int
    name: bytes


def make_event(raw: RawEvent) -> Event:
    """In the order of enum event_kind of loop.h."""
    tunnel, listener, port, error = raw["tunnel"], raw["listener"], raw["port"], raw["error"]
    match raw["kind"]:
        case 0:
            return CarrierLost(tunnel, raw["received"], error)
        case 1:
            return TunnelBroken(tunnel, error)
        case 2:
            return ServiceOpened(tunnel, raw["name"].decode(errors="replace"), raw["fd"])
        case 3:
            return Listening(tunnel, listener, port, error)
    return DialRefused(tunnel, listener, port, error)
