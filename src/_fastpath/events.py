"""What the engine tells Python.

Called by: engine.pyx makes them, tunnel/ and agent/ read them.
Owns: nothing; the taker of a ServiceOpened owns its fd.
Never: anything per byte."""

from typing import NamedTuple


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
    """Agent: the laptop opened a stream to a named service; `fd` is a non-blocking Unix socket."""

    tunnel: int
    name: str
    fd: int


Event = CarrierLost | TunnelBroken | ServiceOpened
