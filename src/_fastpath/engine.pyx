# cython: language_level=3
"""Doorway between Python and the engine.
Called by: telepresence.fastpath.  Owns: one engine each; the engine owns what was handed to it.
Never: sees a payload byte; holds the GIL while it waits for the engine's lock."""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.errno cimport EINVAL, errno
from libc.stdlib cimport free

import os
import socket

from _fastpath.events import make_event
from _fastpath.listener import Listener


cdef int64_t _check(int64_t rc) except -1:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


cdef class Engine:
    cdef c_engine *_c

    def __cinit__(self):
        self._c = engine_start()
        _check(-errno if self._c == NULL else 0)

    @property
    def event_fd(self):
        with _Locked(self):
            return self._c.event_bell.fd

    def take_events(self):
        cdef engine_event *event
        taken = []
        with _Locked(self):
            while True:
                event = engine_take_event(self._c)
                if event == NULL:
                    return taken
                taken.append(make_event(event[0]))
                free(event)

    def counters(self):
        with _Locked(self):
            pool = self._c.pool
            return dict(self._c.counters, blocks_used=pool.n_used, blocks_free=pool.n_free)

    def close(self):
        c, self._c = self._c, NULL
        if c != NULL:
            with nogil:
                engine_stop(c)

    def __dealloc__(self):
        self.close()


cdef class _Locked:
    """`with _Locked(engine)`: the loop waits meanwhile, and looks around afterwards."""
    cdef Engine engine

    def __init__(self, Engine engine):
        self.engine = engine

    def __enter__(self):
        if self.engine._c == NULL:
            raise ValueError("the engine is closed")
        with nogil:
            pthread_mutex_lock(&self.engine._c.lock)

    def __exit__(self, *_):
        engine_wake(self.engine._c)
        pthread_mutex_unlock(&self.engine._c.lock)


cdef class _Part:
    """Something inside an engine, known by its number; close() accepts that it is gone."""
    cdef readonly Engine engine
    cdef readonly unsigned long long number

    cdef _end(self):
        pass

    def close(self):
        if self.engine._c != NULL:
            with _Locked(self.engine):
                self._end()


cdef class Tunnel(_Part):
    def __init__(self, Engine engine, *, role):
        cdef c_tunnel *t
        if role not in ("laptop", "agent"):
            raise ValueError(f"role {role!r} is neither 'laptop' nor 'agent'")
        with _Locked(engine):
            t = tunnel_open(engine._c, role == "agent")
            if t == NULL:
                raise MemoryError
            self.number = t.number
        self.engine = engine

    cdef c_tunnel *_find(self) except NULL:
        cdef c_tunnel *t = engine_find_tunnel(self.engine._c, self.number)
        if t == NULL:
            raise ValueError("the tunnel is closed")
        return t

    def attach(self, int fd, unsigned long long peer_received, bytes greeting=b""):
        with _Locked(self.engine):
            _check(tunnel_attach_socket(self._find(), fd, peer_received, greeting, len(greeting)))

    def attach_carrier(self, capsule, unsigned long long peer_received):
        cdef c_carrier *c = <c_carrier *>PyCapsule_GetPointer(capsule, "_fastpath.carrier")
        with _Locked(self.engine):
            _check(tunnel_attach(self._find(), c, peer_received, NULL, 0))

    def detach(self):
        with _Locked(self.engine):
            return tunnel_detach(self._find())

    def open_stream(self, bytes head):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with _Locked(self.engine):
                _check(link_open(self._find(), theirs.fileno(), NULL, head, len(head)))
                theirs.detach()
            return ours.detach()

    def open_service(self, str name):
        word = name.encode("ascii")
        _check(0 if 1 <= len(word) <= 255 else -EINVAL)
        return self.open_stream(bytes([5, SOCKS5_SERVICE, 0, SOCKS5_DOMAIN, len(word)]) + word + bytes(2))

    def listen(self, uint16_t pod_port, uint16_t laptop_port):
        with _Locked(self.engine):
            return Listener(self, _check(exposure_open(self._find(), pod_port, laptop_port)))

    def unlisten(self, uint64_t number):
        with _Locked(self.engine):
            exposure_close(self._find(), number)

    def join(self, Tunnel other not None):
        with _Locked(self.engine):
            _check(join_tunnels(self._find(), other._find()))

    def stats(self):
        with _Locked(self.engine):
            t = self._find()
            return dict(
                attached=t.carrier != NULL, rtt_us=t.mux.rtt_us, streams=t.mux.n_streams,
                received=t.received, unacknowledged=t.out.queued - t.out.acked,
                windows=t.mux.grown + t.mux.n_streams * WINDOW_START,
            )

    cdef _end(self):
        cdef c_tunnel *t = engine_find_tunnel(self.engine._c, self.number)
        if t != NULL:
            tunnel_close(t)


include "servers.pxi"
