# cython: language_level=3
"""The mux and the port-forward's framing as codecs in Python's hands: bytes in, events out.

Called by: the property tests, and by tools that speak to a tunnel without the engine.
Owns: its streams.  Never: a socket or a clock."""
from libc.errno cimport EPROTO

_KINDS = {
    MUX_OPENED: "opened",
    MUX_DATA: "data",
    MUX_CREDIT: "credit",
    MUX_FIN: "fin",
    MUX_RESET: "reset",
    MUX_PONG: "pong",
    MUX_ACK: "ack",
    MUX_GOAWAY: "goaway",
}


cdef void _emit(void *context, const uint8_t *head) noexcept with gil:
    (<Mux>context).sent.append(head[:12])


cdef class Mux:
    cdef mux _c
    cdef dict _streams
    cdef readonly list sent

    def __cinit__(self, *, bint client):
        mux_init(&self._c, client, _emit, <void *>self)
        self._streams = {}
        self.sent = []

    def __dealloc__(self):
        mux_clear(&self._c)

    cdef mux_stream *_stream(self, unsigned int number) except NULL:
        if number not in self._streams:
            raise KeyError(number)
        return <mux_stream *><size_t>self._streams[number]

    def take(self, bytes data not None):
        cdef const uint8_t *at = data
        cdef size_t left = len(data)
        cdef mux_event event
        cdef Py_ssize_t eaten
        found = []
        while True:
            eaten = mux_take(&self._c, at, left, &event)
            if eaten == -EPROTO:
                raise ValueError("the peer broke the protocol")
            if eaten < 0:
                raise MemoryError
            if eaten == 0 and event.kind == MUX_NONE:
                return found
            at += eaten
            left -= eaten
            if event.kind != MUX_NONE:
                found.append(self._event(&event))

    cdef tuple _event(self, mux_event *event):
        if event.kind == MUX_OPENED:
            self._streams[event.stream.id] = <size_t>event.stream
        number = event.stream.id if event.stream != NULL else 0
        payload = event.data[:event.len] if event.kind == MUX_DATA else event.value
        return _KINDS[event.kind], number, payload

    def open(self):
        cdef mux_stream *stream = mux_open(&self._c, NULL)
        if stream == NULL:
            raise MemoryError
        self._streams[stream.id] = <size_t>stream
        return stream.id

    def data(self, unsigned int number, bytes payload not None):
        cdef mux_stream *stream = self._stream(number)
        cdef uint8_t head[12]
        if len(payload) > stream.send_window:
            raise BlockingIOError
        mux_data(stream, head, <uint32_t>len(payload))
        return head[:12] + payload

    def fin(self, unsigned int number):
        mux_fin(&self._c, self._stream(number))

    def reset(self, unsigned int number):
        mux_reset(&self._c, self._stream(number))

    def consumed(self, unsigned int number, unsigned int size, unsigned long long now_us):
        mux_consumed(&self._c, self._stream(number), size, now_us)

    def release(self, unsigned int number):
        mux_release(&self._c, self._stream(number))
        del self._streams[number]

    def ping(self, unsigned int value):
        mux_ping(&self._c, value)

    def ack(self, unsigned long long received):
        mux_ack(&self._c, received)

    def send_window(self, unsigned int number):
        return self._stream(number).send_window

    def recv_window(self, unsigned int number):
        return self._stream(number).recv_window

    @property
    def rtt_us(self):
        return self._c.rtt_us

    @rtt_us.setter
    def rtt_us(self, unsigned long long value):
        self._c.rtt_us = value


cdef class Spdy:
    cdef spdy _c

    def __cinit__(self):
        spdy_init(&self._c)

    def take(self, bytes data not None):
        cdef bytearray room = bytearray(data)
        cdef Py_ssize_t size = spdy_take(&self._c, room, len(room))
        if size < 0:
            raise ValueError("the peer broke the protocol")
        return bytes(room[:size])

    def take_pong(self):
        if not self._c.pong_due:
            return None
        self._c.pong_due = False
        return (<char *>self._c.pong)[:sizeof(self._c.pong)]

    @property
    def closed(self):
        return self._c.closed

    @property
    def error(self):
        return (<char *>self._c.error)[:self._c.error_len]
