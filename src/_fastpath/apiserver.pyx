# cython: language_level=3
"""Doorway to a carrier that is a port-forward by the API server itself.
Called by: tunnel/apiserver.py.  Owns: the connection, until detach().
Never: blocks (BlockingIOError instead); sees a user's byte: what passes here is the greeting."""
from cpython.pycapsule cimport PyCapsule_New
from libc.errno cimport EAGAIN
from libc.stdint cimport uint8_t

import os

cdef extern from "carrier.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

    struct c_carrier "carrier":
        int fd
        bint pending
        ssize_t (*read)(c_carrier *, uint8_t *, size_t) noexcept
        ssize_t (*write)(c_carrier *, const iovec *, int) noexcept

cdef extern from "carrier_api.h" nogil:
    struct apiserver_trust:
        const char *name
        const char *ca_file
        const char *cert_file
        const char *key_file
        int verify

    struct spdy:
        char error[256]

    struct c_apiserver "apiserver":
        c_carrier carrier
        spdy spdy
        bint wants_write
        size_t head_len
        char head[1]
        char error[256]

    c_apiserver *apiserver_open(int fd, const apiserver_trust *, char *, size_t) noexcept
    void apiserver_close(c_apiserver *) noexcept
    int apiserver_handshake(c_apiserver *) noexcept
    ssize_t apiserver_say(c_apiserver *, const uint8_t *, size_t) noexcept
    int apiserver_take_head(c_apiserver *) noexcept


cdef const char *_path(bytes text):
    return <const char *>text if text is not None else NULL


cdef class ApiSocket:
    cdef c_apiserver *_c

    def __init__(self, int fd, *, str name, ca_file, cert_file, key_file, bint verify):
        cdef char error[256]
        cdef bytes words = name.encode("idna" if not name.isascii() else "ascii")
        cdef bytes ca = os.fsencode(ca_file) if ca_file else None
        cdef bytes cert = os.fsencode(cert_file) if cert_file else None
        cdef bytes key = os.fsencode(key_file) if key_file else None
        cdef apiserver_trust trust
        trust.name = words
        trust.ca_file, trust.cert_file, trust.key_file = _path(ca), _path(cert), _path(key)
        trust.verify = verify
        error[0] = 0
        self._c = apiserver_open(fd, &trust, error, sizeof(error))
        if self._c == NULL:
            raise OSError((<bytes>error).decode(errors="replace") or "no memory")

    cdef c_apiserver *_open(self) except NULL:
        if self._c == NULL:
            raise ValueError("the connection is closed")
        return self._c

    cdef ssize_t _check(self, ssize_t rc) except -1:
        if rc == -EAGAIN:
            raise BlockingIOError
        if rc < 0:
            text = (<bytes>self._c.error).decode(errors="replace")
            raise OSError(-rc, text or os.strerror(-rc))
        return rc

    @property
    def wants_write(self):
        return self._open().wants_write

    @property
    def error(self):
        return (<bytes>self._open().spdy.error).decode(errors="replace")

    def handshake(self):
        self._check(apiserver_handshake(self._open()))

    def say(self, bytes data):
        return self._check(apiserver_say(self._open(), <const uint8_t *><const char *>data, len(data)))

    def take_head(self):
        self._check(apiserver_take_head(self._open()))
        return (<char *>self._c.head)[:self._c.head_len]

    def send(self, bytes data):
        cdef iovec vector
        cdef c_carrier *c = &self._open().carrier
        vector.iov_base = <void *><const char *>data
        vector.iov_len = len(data)
        return self._check(c.write(c, &vector, 1))

    def recv(self, size_t size):
        cdef bytearray room = bytearray(size)
        cdef c_carrier *c = &self._open().carrier
        return bytes(room[:self._check(c.read(c, room, size))])

    def capsule(self):
        return PyCapsule_New(&self._open().carrier, "_fastpath.carrier", NULL)

    def detach(self):
        self._c = NULL

    def close(self):
        if self._c != NULL:
            apiserver_close(self._c)
            self._c = NULL

    def __dealloc__(self):
        self.close()
