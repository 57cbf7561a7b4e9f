"""Give Python the kqueue that it has on macOS, then run the script that argv names.

Called by: test_kqueue.py.
Owns: select.kqueue, and with it selectors.KqueueSelector.  Never: more of it than that asks for.
"""

import ctypes
import importlib
import os
import runpy
import select
import selectors
import sys
from collections import namedtuple

LIBC = ctypes.CDLL(None, use_errno=True)


class Kevent(ctypes.Structure):
    _fields_ = (
        ("ident", ctypes.c_size_t),
        ("filter", ctypes.c_int16),
        ("flags", ctypes.c_uint16),
        ("fflags", ctypes.c_uint32),
        ("data", ctypes.c_ssize_t),
        ("udata", ctypes.c_void_p),
    )


class Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Kqueue:
    def __init__(self):
        self._fd = LIBC.kqueue()

    def fileno(self):
        return self._fd

    def close(self):
        os.close(self._fd)

    def control(self, changes, room, timeout=None):
        triples = [(at.ident, at.filter, at.flags) for at in changes or ()]
        asked = (Kevent * len(triples))(*triples)
        told = (Kevent * room)()
        limit = None
        if timeout is not None:
            limit = ctypes.byref(Timespec(int(timeout), int(timeout % 1 * 1e9)))
        n = LIBC.kevent(self._fd, asked, len(asked), told, room, limit)
        if n == -1:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return told[:n]


select.kqueue = Kqueue
select.kevent = namedtuple("kevent", "ident filter flags")
select.KQ_FILTER_READ, select.KQ_FILTER_WRITE = -1, -2
select.KQ_EV_ADD, select.KQ_EV_DELETE = 1, 2
importlib.reload(selectors)
assert selectors.DefaultSelector is not selectors.SelectSelector
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
