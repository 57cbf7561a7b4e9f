"""The pod's variables on their way into a container: by a file, or the client's environment.

Called by: method/container/whole.py.
Owns: nothing.
Never: puts a value into argv, where every user of the laptop could read it.

A file cannot hold every value; the environment of the engine's client can, but there a variable
such as HTTP_PROXY would change the client itself.  Source: docker/cli, opts/file.go.
"""

_LINE_BYTES = 60_000  # bufio.MaxScanTokenSize is 64 KiB, for the whole line
# What loaders and Go programs obey: never into the client's environment.
_DANGEROUS = (b"LD_", b"DYLD_", b"DOCKER_", b"GODEBUG", b"GOTRACEBACK", b"CONTAINER_", b"BUILDAH_")


def _fits_line(key: bytes, value: bytes) -> bool:
    try:
        (key + value).decode()
    except UnicodeDecodeError:
        return False
    has_break = any(char in key + value for char in b"\n\r\0")
    is_odd = key[:1] == b"#" or any(char in key for char in b" \t")
    return not has_break and not is_odd and len(key) + len(value) < _LINE_BYTES


def decodable(environ: dict[bytes, bytes]) -> tuple[dict[str, str], list[bytes]]:
    """For a file in UTF-8: the variables, and names of those that cannot be in it."""
    text, left_out = {}, []
    for key, value in sorted(environ.items()):
        try:
            text[key.decode()] = value.decode()
        except UnicodeDecodeError:
            left_out.append(key)
    return text, left_out


def divide(
    environ: dict[bytes, bytes],
) -> tuple[bytes, dict[bytes, bytes], list[bytes]]:
    """The text of the file, what goes by the client's environment, and names that go nowhere."""
    lines, named, left_out = [], {}, []
    for key, value in sorted(environ.items()):
        if _fits_line(key, value):
            lines.append(key + b"=" + value + b"\n")
        elif key.startswith(_DANGEROUS) or b" " in key:
            left_out.append(key)
        else:
            named[key] = value
    return b"".join(lines), named, left_out
