import socket
from typing import Literal, TypedDict

from _fastpath.events import Event
from _fastpath.listener import Listener

class TunnelStats(TypedDict):
    attached: bool
    rtt_us: int
    streams: int
    received: int
    unacknowledged: int  # bytes kept for a replay
    windows: int  # bytes that all peers together may have under way

class Engine:
    """One epoll loop in its own thread; moves all bytes of what is handed to it."""

    def __init__(self) -> None: ...
    @property
    def event_fd(self) -> int:
        """Readable while take_events() has something to give."""
    def take_events(self) -> list[Event]: ...
    def counters(self) -> dict[str, int]:
        """Totals since the start: streams, bytes, clients; and blocks of 64 KiB in use and free."""
    def close(self) -> None:
        """Close everything that the engine owns and join its thread.  Twice is harmless."""

class Tunnel:
    """The resumable session of laptop and agent: streams over whatever carrier it has."""

    engine: Engine
    number: int  # as events name it
    def __init__(self, engine: Engine, *, role: Literal["laptop", "agent"]) -> None: ...
    def attach(self, fd: int, peer_received: int, greeting: bytes = b"") -> None:
        """Carry on over a connected socket.  Takes the fd, unless it raises.

        peer_received: bytes of ours that the peer has, as its HELLO says.
        greeting: what goes out before the tunnel's bytes, if the offset is good.
        OSError ERANGE: that offset is not in the replay buffer; EBUSY: a carrier is attached;
        EPIPE: the tunnel is broken.  ValueError: closed."""
    def attach_carrier(self, capsule: object, peer_received: int) -> None:
        """The same over what ApiSocket.capsule() gives."""
    def detach(self) -> int:
        """Drop the carrier, if any.  Returns the bytes received so far."""
    def open_stream(self, head: bytes) -> int:
        """Laptop: a stream that begins with `head`, a SOCKS5 request and maybe what follows it.
        Returns a non-blocking Unix socket, which the caller owns: first the SOCKS5 reply, then
        the stream's bytes."""
    def open_service(self, name: str) -> int:
        """Laptop: a stream to a service of the agent, as open_stream().
        OSError EINVAL: the name is not 1 to 255 ASCII bytes."""
    def listen(self, pod_port: int, laptop_port: int) -> Listener:
        """Laptop: the pod listens, and its connections go to 127.0.0.1 or ::1 of the laptop.
        Whether it does is told by a Listening event.  pod_port 0: any free one, as the event says.
        OverflowError: not a port.  OSError EPIPE: the tunnel is broken."""
    def unlisten(self, number: int) -> None:
        """What a Listener's close() does.  ValueError: the tunnel is closed."""
    def join(self, other: Tunnel) -> None:
        """From now on each stream that the peer opens becomes a stream of the other tunnel, and the
        other way round; close() of either ends it.  Both of one engine.
        OSError EBUSY: one is joined already; EINVAL: two engines, or one tunnel."""
    def stats(self) -> TunnelStats: ...
    def close(self) -> None:
        """Reset all streams and close the servers that feed the tunnel.  Twice is harmless."""

class SocksServer:
    """SOCKS5 (RFC 1928, 1929) with Tor's RESOLVE and RESOLVE_PTR on a listening socket."""

    engine: Engine
    number: int
    port: int
    def __init__(
        self,
        engine: Engine,
        listener: socket.socket,
        *,
        tunnel: Tunnel | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        """Takes the listener.  Without a tunnel it connects and resolves on this machine."""
    def close(self) -> None:
        """Stop listening; connections that are established live on."""

class RedirectServer:
    """Connections that a firewall rule redirected here go where their programs meant them to.

    A connect that the pod cannot make is reset as soon as the pod has said so.  A connection to
    the listener itself is reset."""

    engine: Engine
    number: int
    port: int
    def __init__(
        self,
        engine: Engine,
        listener: socket.socket,
        *,
        tunnel: Tunnel,
        asked: socket.socket | None = None,
    ) -> None:
        """Takes the listener, and `asked`: a stream socket to a process that says where each
        connection was meant to go (meant.h).  Without it the kernel is asked: Linux's netfilter."""
    def close(self) -> None:
        """Stop listening; connections that are established live on."""

class ConnectHold:
    """Connections that a rule gives here by NFLOG and drops: each goes on to the RedirectServer of
    the same tunnel once the pod has connected, and fails as the pod's did if it has not.  Linux."""

    engine: Engine
    number: int
    def __init__(
        self,
        engine: Engine,
        log: socket.socket,
        raw4: socket.socket,
        raw6: socket.socket | None = None,
        *,
        tunnel: Tunnel,
    ) -> None:
        """Takes the sockets: one of nfnetlink_log that is bound to a group, and raw ones of
        IPPROTO_RAW, whose mark the rule lets through."""
    def close(self) -> None:
        """Forget those that wait."""

class DatagramRedirect:
    """Datagrams that a TPROXY rule turned here go where their programs sent them, and what comes
    back has the source that answered.  Linux."""

    engine: Engine
    number: int
    def __init__(
        self,
        engine: Engine,
        sock: socket.socket,
        raw: socket.socket | None = None,
        *,
        tunnel: Tunnel,
    ) -> None:
        """Takes the socket: UDP, bound, with IP_TRANSPARENT.  Answers leave by `raw` if it is
        given, of the same family and IPPROTO_RAW; without it CAP_NET_ADMIN is needed."""
    def close(self) -> None:
        """End its associations."""

class Relay:
    """Two connected sockets joined; half-close and reset pass through.  Takes both fds."""

    engine: Engine
    number: int
    def __init__(self, engine: Engine, a_fd: int, b_fd: int) -> None: ...
    @property
    def open(self) -> bool: ...
    def close(self) -> None: ...
