"""What a word of the command line may be: a text in, a value or argparse's refusal out.

Called by: the groups of cli/.
Owns: nothing.
Never: looks at the machine.
"""

import argparse
import contextlib
import ipaddress
import re

from telepresence.values import Port, Target

# Kubernetes, "Object Names and IDs": RFC 1123 label, which a Service of the same name needs too.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# The same page, DNS subdomain: names of workloads and service accounts.
_OBJECT = re.compile(r"(?=.{1,253}$)[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_TARGET = re.compile(r"(?:(?P<kind>[A-Za-z]+)/)?(?P<name>[^:/]*)(?::(?P<container>.*))?", re.S)
_HOST = re.compile(r"([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9])?\.)*[a-z]([-a-z0-9]{0,61}[a-z0-9])?\.?")


SECONDS_MAX = 86400.0


def name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no Kubernetes name (lower-case letters, digits and -, 63 at most)"
        )
    return text


def not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def object_name(text: str) -> str:
    if not _OBJECT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no Kubernetes name (lower-case letters, digits, - and .)"
        )
    return text


def target(text: str) -> Target:
    """[KIND/]NAME[:CONTAINER]"""
    parts = _TARGET.fullmatch(text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not [KIND/]NAME[:CONTAINER]")
    container = parts["container"]
    return Target(
        kind=parts["kind"],
        name=object_name(parts["name"]),
        container=None if container is None else name(container),
    )


def seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (found := float(text)) <= SECONDS_MAX:
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds (1 to {SECONDS_MAX:.0f})")


def network(text: str) -> str:
    """An address or a range, as a range; bits behind the prefix are dropped."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no IP address and no range like 10.1.0.0/16"
        ) from None


def proxied(text: str) -> str:
    """A range, or a host's name in lower case."""
    if _HOST.fullmatch(text.lower()):
        return text.lower()
    try:
        return network(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no IP address, no range like 10.1.0.0/16 and no host's name"
        ) from None


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def container_pair(text: str) -> Port:
    """PORT[:HOST_PORT], the container's first; of the two, its port takes the pod's place."""
    parts = text.split(":")
    if len(parts) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not PORT[:HOST_PORT]")
    return Port(pod=port(parts[0]), laptop=port(parts[-1]))


def port_pair(text: str) -> Port:
    """PORT[:REMOTE], the laptop's first."""
    parts = text.split(":")
    if len(parts) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not PORT[:REMOTE]")
    return Port(laptop=port(parts[0]), pod=port(parts[-1]))
