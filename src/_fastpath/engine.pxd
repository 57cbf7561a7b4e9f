from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_lock(pthread_mutex_t *) noexcept
    int pthread_mutex_unlock(pthread_mutex_t *) noexcept


cdef extern from "engine.h" nogil:
    enum event_kind:
        EVENT_CARRIER_LOST
        EVENT_TUNNEL_BROKEN
        EVENT_SERVICE_OPENED

    struct engine_event:
        event_kind kind
        uint64_t tunnel
        uint64_t received
        int error
        int fd
        char name[256]

    struct counters:
        uint64_t streams_opened, streams_accepted, streams_reset
        uint64_t tunnel_bytes_in, tunnel_bytes_out
        uint64_t relays, dials_failed, lookups, clients

    struct pool:
        size_t n_free, n_used

    struct engine:
        pthread_mutex_t lock
        int event_fd
        counters counters
        pool pool

    engine *engine_start() noexcept
    void engine_stop(engine *) noexcept
    engine_event *engine_take_event(engine *) noexcept
    void engine_wake(engine *) noexcept
    tunnel *engine_find_tunnel(engine *, uint64_t) noexcept
    server *engine_find_server(engine *, uint64_t) noexcept
    pair *engine_find_pair(engine *, uint64_t) noexcept
    int socket_prepare(int) noexcept


cdef extern from "mux.h" nogil:
    struct mux:
        uint64_t rtt_us
        unsigned int n_streams


cdef extern from "block.h" nogil:
    struct outbox:
        uint64_t acked, written, queued


cdef extern from "tunnel.h" nogil:
    struct tunnel:
        uint64_t number
        uint64_t received
        mux mux
        outbox out

    tunnel *tunnel_open(engine *, bint agent) noexcept
    void tunnel_close(tunnel *) noexcept
    int tunnel_attach(tunnel *, int fd, uint64_t peer_received) noexcept
    uint64_t tunnel_detach(tunnel *) noexcept


cdef extern from "link.h" nogil:
    int link_open(tunnel *, int fd, void *from_item, const uint8_t *head, size_t len) noexcept


cdef extern from "server.h" nogil:
    struct server:
        uint64_t number

    server *server_open(engine *, int listener, tunnel *, const char *user, const char *password) noexcept
    void server_close(server *) noexcept


cdef extern from "pair.h" nogil:
    struct pair:
        uint64_t number

    pair *pair_open(engine *, int a, bint a_registered, int b, bint b_registered) noexcept
    void pair_close(pair *) noexcept


cdef extern from "socks5.h" nogil:
    enum:
        SOCKS5_SERVICE
        SOCKS5_REQUEST_MAX
        SOCKS5_DOMAIN

    struct socks5_addr:
        uint8_t atyp
        uint8_t host_len
        unsigned short port
        uint8_t host[256]

    Py_ssize_t socks5_make_request(uint8_t *buf, size_t room, uint8_t cmd, const socks5_addr *) noexcept
