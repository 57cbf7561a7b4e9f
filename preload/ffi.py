"""The C codec and the shim's parsers as a Python module, `telepresence._preload_ffi`.

Called by: setup.py (build); method/ checks settings with it before a child gets them, and
tests/property holds the C codec against a second one in Python.
Owns: nothing.  Never: used where bytes of a connection pass.
"""

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
HEADERS = (
    ROOT / "src/_fastpath/socks5.h",
    ROOT / "preload/settings.h",
    ROOT / "preload/handshake.h",
    ROOT / "preload/mirror.h",
)


def declarations(text: str) -> str:
    """A header without what the C preprocessor would eat; cffi reads the rest as it stands."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)


def settings_opaque(text: str) -> str:
    """`struct sockaddr` differs between systems: let the compiler lay the struct out."""
    return re.sub(r"union \{.*?\} server;", "...;", text, flags=re.DOTALL)


def moved_dots(text: str) -> str:
    """cffi wants `...;` as the last member."""
    body = re.search(r"struct settings \{(.*?)\n\};", text, flags=re.DOTALL)
    if body is None or "...;" not in body[1]:
        return text
    members = body[1].replace("...;", "") + "\n\t...;"
    return text.replace(body[0], "struct settings {" + members + "\n};")


ffi = FFI()
for header in HEADERS:
    ffi.cdef(moved_dots(settings_opaque(declarations(header.read_text(encoding="utf-8")))))
ffi.set_source(
    "telepresence._preload_ffi",
    '#include "socks5.h"\n#include "handshake.h"\n#include "mirror.h"\n',
    sources=[
        "preload/settings.c",
        "preload/handshake.c",
        "preload/mirror.c",
        "src/_fastpath/socks5.c",
    ],
    include_dirs=["preload", "src/_fastpath"],
    extra_compile_args=["-std=c11", "-D_GNU_SOURCE", "-O2"],
)
