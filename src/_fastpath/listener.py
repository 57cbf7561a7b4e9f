"""A port of the pod that leads to a port of the laptop.

Called by: Tunnel.listen() of engine.pyx.
Owns: the port in the pod, until close() or the tunnel's end.
Never: accepts; the connections are the engine's.
"""

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _fastpath.engine import Tunnel


class Listener:
    """What Tunnel.listen() returns; a Listening event with its number says when the pod listens."""

    def __init__(self, tunnel: "Tunnel", number: int) -> None:
        self.tunnel, self.number = tunnel, number

    def close(self) -> None:
        """The pod stops listening; its connections live on.  Twice, or too late, is harmless.

        A port may be listened on again at once: the pod carries both out in this order."""
        with contextlib.suppress(ValueError):
            self.tunnel.unlisten(self.number)
