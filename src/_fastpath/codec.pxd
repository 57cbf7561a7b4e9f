from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "mux.h" nogil:
    enum mux_kind:
        MUX_NONE
        MUX_OPENED
        MUX_DATA
        MUX_CREDIT
        MUX_FIN
        MUX_RESET
        MUX_PONG
        MUX_ACK
        MUX_GOAWAY

    struct mux_stream:
        uint32_t id
        uint32_t send_window
        uint32_t recv_window

    struct mux_event:
        mux_kind kind
        mux_stream *stream
        const uint8_t *data
        size_t len
        uint64_t value

    struct mux:
        uint32_t n_streams
        uint64_t rtt_us

    void mux_init(mux *, bint client, void (*emit)(void *, const uint8_t *) noexcept, void *) noexcept
    void mux_clear(mux *) noexcept
    Py_ssize_t mux_take(mux *, const uint8_t *, size_t, mux_event *) noexcept
    mux_stream *mux_open(mux *, void *) noexcept
    void mux_data(mux_stream *, uint8_t *head, uint32_t) noexcept
    void mux_fin(mux *, mux_stream *) noexcept
    void mux_reset(mux *, mux_stream *) noexcept
    void mux_consumed(mux *, mux_stream *, uint32_t, uint64_t now_us) noexcept
    void mux_release(mux *, mux_stream *) noexcept
    void mux_ping(mux *, uint32_t) noexcept
    void mux_ack(mux *, uint64_t) noexcept


cdef extern from "spdy.h" nogil:
    struct spdy:
        bint closed
        bint pong_due
        uint8_t pong[12]
        char error[256]
        size_t error_len

    void spdy_init(spdy *) noexcept
    Py_ssize_t spdy_take(spdy *, uint8_t *, size_t) noexcept
