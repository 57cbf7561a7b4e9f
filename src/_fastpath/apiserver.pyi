class ApiSocket:
    """A connection to an API server: TLS, one HTTP request, then a port-forward over SPDY.

    Every call that would block raises BlockingIOError; `wants_write` says what to wait for.
    OSError: what broke, in words."""

    def __init__(
        self,
        fd: int,
        *,
        name: str,
        ca_file: str | None,
        cert_file: str | None,
        key_file: str | None,
        verify: bool,
    ) -> None:
        """Takes a connected, non-blocking socket, unless it raises OSError: a file is no good.

        name: host or address that the certificate must be for.  ca_file None: the system's."""
    @property
    def wants_write(self) -> bool: ...
    @property
    def error(self) -> str:
        """What the port-forward's error channel said, "" as long as it is silent."""
    def handshake(self) -> None: ...
    def say(self, data: bytes) -> int:
        """Bytes outside the data stream, as of the HTTP request; returns how many were taken."""
    def take_head(self) -> bytes:
        """The HTTP answer up to its empty line."""
    def send(self, data: bytes) -> int:
        """Payload for the forwarded port; returns how many bytes were taken."""
    def recv(self, size: int) -> bytes:
        """At most `size` bytes from the forwarded port; b"": it was closed."""
    def capsule(self) -> object:
        """The carrier, for Tunnel.attach_carrier(); detach() when that has taken it."""
    def detach(self) -> None:
        """Forget the connection, whose owner is the tunnel now."""
    def close(self) -> None:
        """Twice is harmless."""
