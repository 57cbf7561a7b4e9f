# cython: language_level=3
"""Doorway between Python and the engine.

Called by: telepresence.fastpath.  Owns: one engine each; the engine owns what was handed to it.
Never: sees a payload byte; holds the GIL while it waits for the engine's lock."""
from libc.errno cimport EPIPE, errno
from libc.stdlib cimport free
from libc.string cimport memcpy

import os
import socket

from _fastpath.events import CarrierLost, ServiceOpened, TunnelBroken


cdef int _check(int rc) except -1:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


cdef class Engine:
    cdef c_engine *_c

    def __cinit__(self):
        self._c = engine_start()
        if self._c == NULL:
            _check(-errno)

    cdef c_engine *_lock(self) except NULL:
        """The engine with its lock held; the caller unlocks."""
        if self._c == NULL:
            raise ValueError("the engine is closed")
        with nogil:
            pthread_mutex_lock(&self._c.lock)
        return self._c

    cdef int _unlock(self) except -1:
        pthread_mutex_unlock(&self._c.lock)
        return 0

    @property
    def event_fd(self):
        if self._c == NULL:
            raise ValueError("the engine is closed")
        return self._c.event_fd

    def take_events(self):
        cdef c_engine *c = self._lock()
        cdef engine_event *event
        taken = []
        try:
            while True:
                event = engine_take_event(c)
                if event == NULL:
                    return taken
                if event.kind == EVENT_CARRIER_LOST:
                    taken.append(CarrierLost(event.tunnel, event.received, event.error))
                elif event.kind == EVENT_TUNNEL_BROKEN:
                    taken.append(TunnelBroken(event.tunnel, event.error))
                else:
                    taken.append(ServiceOpened(event.tunnel, event.name.decode(errors="replace"), event.fd))
                free(event)
        finally:
            self._unlock()

    def counters(self):
        cdef c_engine *c = self._lock()
        try:
            found = dict(c.counters)
            found["blocks_used"] = c.pool.n_used
            found["blocks_free"] = c.pool.n_free
            return found
        finally:
            self._unlock()

    def close(self):
        cdef c_engine *c = self._c
        self._c = NULL
        if c != NULL:
            with nogil:
                engine_stop(c)

    def __dealloc__(self):
        self.close()


cdef class Tunnel:
    cdef readonly Engine engine
    cdef readonly unsigned long long number

    def __init__(self, Engine engine, *, role):
        cdef c_tunnel *t
        if role not in ("laptop", "agent"):
            raise ValueError(f"role {role!r} is neither 'laptop' nor 'agent'")
        cdef c_engine *c = engine._lock()
        t = tunnel_open(c, role == "agent")
        if t != NULL:
            self.number = t.number
        engine._unlock()
        if t == NULL:
            raise MemoryError
        self.engine = engine

    cdef c_tunnel *_find(self, c_engine *c) except NULL:
        cdef c_tunnel *t = engine_find_tunnel(c, self.number)
        if t == NULL:
            raise ValueError("the tunnel is closed")
        return t

    def attach(self, int fd, unsigned long long peer_received, bytes greeting=b""):
        cdef c_engine *c = self.engine._lock()
        try:
            _check(tunnel_attach(self._find(c), fd, peer_received, <const uint8_t *><const char *>greeting, len(greeting)))
        finally:
            self.engine._unlock()

    def detach(self):
        cdef c_engine *c = self.engine._lock()
        try:
            return tunnel_detach(self._find(c))
        finally:
            self.engine._unlock()

    def open_service(self, str name):
        cdef uint8_t head[SOCKS5_REQUEST_MAX]
        cdef socks5_addr addr
        cdef Py_ssize_t size
        cdef bytes raw = name.encode("ascii")
        if not 0 < len(raw) < 256:
            raise ValueError(f"service name {name!r} is not 1 to 255 bytes long")
        addr.atyp = SOCKS5_DOMAIN
        addr.host_len = <uint8_t>len(raw)
        memcpy(addr.host, <const char *>raw, len(raw))
        addr.port = 0
        size = socks5_make_request(head, sizeof(head), SOCKS5_SERVICE, &addr)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        cdef c_engine *c = NULL
        try:
            c = self.engine._lock()
            _check(link_open(self._find(c), theirs.fileno(), NULL, head, <size_t>size))
            theirs.detach()
            engine_wake(c)
            return ours.detach()
        finally:
            if c != NULL:
                self.engine._unlock()
            ours.close()
            theirs.close()

    def stats(self):
        cdef c_engine *c = self.engine._lock()
        cdef c_tunnel *t
        try:
            t = self._find(c)
            return {
                "attached": t.carrier.fd != -1,
                "rtt_us": t.mux.rtt_us,
                "streams": t.mux.n_streams,
                "received": t.received,
                "unacknowledged": t.out.queued - t.out.acked,
            }
        finally:
            self.engine._unlock()

    def close(self):
        cdef c_engine *c
        cdef c_tunnel *t
        if self.engine._c == NULL:
            return
        c = self.engine._lock()
        t = engine_find_tunnel(c, self.number)
        if t != NULL:
            tunnel_close(t)
            engine_wake(c)
        self.engine._unlock()


cdef class SocksServer:
    cdef readonly Engine engine
    cdef readonly unsigned long long number
    cdef readonly int port

    def __init__(self, Engine engine, listener, *, Tunnel tunnel=None, username=None, password=None):
        cdef bytes user = (username or "").encode()
        cdef bytes word = (password or "").encode()
        cdef c_tunnel *t = NULL
        cdef c_server *s
        if (username is None) != (password is None) or len(user) > 255 or len(word) > 255:
            raise ValueError("user name and password: both or neither, 255 bytes at most")
        port = listener.getsockname()[1]
        cdef c_engine *c = engine._lock()
        try:
            if tunnel is not None:
                t = tunnel._find(c)
            s = server_open(c, listener.fileno(), t, <const char *>user if username is not None else NULL,
                            <const char *>word)
            if s == NULL:
                _check(-errno)
            listener.detach()
            self.number = s.number
        finally:
            engine._unlock()
        self.engine = engine
        self.port = port

    def close(self):
        cdef c_engine *c
        cdef c_server *s
        if self.engine._c == NULL:
            return
        c = self.engine._lock()
        s = engine_find_server(c, self.number)
        if s != NULL:
            server_close(s)
            engine_wake(c)
        self.engine._unlock()


cdef class Relay:
    cdef readonly Engine engine
    cdef readonly unsigned long long number

    def __init__(self, Engine engine, int a_fd, int b_fd):
        cdef c_pair *p
        _check(socket_prepare(a_fd))
        _check(socket_prepare(b_fd))
        cdef c_engine *c = engine._lock()
        try:
            p = pair_open(c, a_fd, False, b_fd, False)
            if p == NULL:
                _check(-errno)
            self.number = p.number
        finally:
            engine._unlock()
        self.engine = engine

    @property
    def open(self):
        cdef c_engine *c = self.engine._lock()
        found = engine_find_pair(c, self.number) != NULL
        self.engine._unlock()
        return found

    def close(self):
        cdef c_engine *c
        cdef c_pair *p
        if self.engine._c == NULL:
            return
        c = self.engine._lock()
        p = engine_find_pair(c, self.number)
        if p != NULL:
            pair_close(p)
            engine_wake(c)
        self.engine._unlock()
