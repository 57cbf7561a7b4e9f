"""Public face of the data plane, for this project and for other tools.

    from telepresence.fastpath import Engine, SocksServer
    engine = Engine()
    server = SocksServer(engine, listener)      # a SOCKS5 server at C speed, until engine.close()

Called by: agent/, tunnel/, method/, and programs that import it.
Owns: nothing; an Engine owns what is handed to it until its close().
Never: payload bytes; all of them stay in the engine's thread."""

from _fastpath.engine import (
    ConnectHold,
    DatagramRedirect,
    Engine,
    RedirectServer,
    Relay,
    SocksServer,
    Tunnel,
)
from _fastpath.events import (
    CarrierLost,
    DialRefused,
    Event,
    Listening,
    ServiceOpened,
    TunnelBroken,
)
from _fastpath.listener import Listener

__all__ = [
    "CarrierLost",
    "ConnectHold",
    "DatagramRedirect",
    "DialRefused",
    "Engine",
    "Event",
    "Listener",
    "Listening",
    "RedirectServer",
    "Relay",
    "ServiceOpened",
    "SocksServer",
    "Tunnel",
    "TunnelBroken",
]
