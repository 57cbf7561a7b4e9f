"""Every error that Telepresence raises on purpose, by who must act.

Called by: every room.
Owns: nothing.
Never: prints or exits; __main__ does, with `str(error)` and `error.hint`.

    TelepresenceError
      UsageError     you typed it; exit 2
      ClusterError   the cluster refused
      TunnelError    the path to the pod broke
      MethodError    this machine can't
      ProtocolError  the peer broke a protocol; `reply` is what it gets as an answer
      InternalError  our bug; the log is asked for
"""


class TelepresenceError(Exception):
    """What went wrong and with which object; `hint` is the next step, "" when there is none."""

    exit_code = 255  # Telepresence 1's code for every failure that is not the child's

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TelepresenceError):
    """The command line cannot be carried out."""

    exit_code = 2


class ClusterError(TelepresenceError):
    """The cluster refused, or what it was asked for is not there."""


class TunnelError(TelepresenceError):
    """The path between laptop and pod broke."""


class MethodError(TelepresenceError):
    """This machine cannot do what the method needs."""


class ProtocolError(TelepresenceError):
    """The peer broke a protocol."""

    def __init__(self, message: str, *, hint: str = "", reply: bytes = b"") -> None:
        super().__init__(message, hint=hint)
        self.reply = reply


class InternalError(TelepresenceError):
    """Our bug."""

    exit_code = 1
