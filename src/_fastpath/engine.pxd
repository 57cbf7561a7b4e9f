from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t


cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_lock(pthread_mutex_t *) noexcept
    int pthread_mutex_unlock(pthread_mutex_t *) noexcept


cdef extern from "loop.h" nogil:
    struct engine_event:
        int kind
        uint64_t tunnel
        uint64_t received
        uint64_t listener
        uint16_t port
        int error
        int fd
        char name[256]

    struct counters:
        uint64_t streams_opened, streams_accepted, streams_reset
        uint64_t tunnel_bytes_in, tunnel_bytes_out
        uint64_t relays, dials_failed, lookups, clients, held
        uint64_t associations, datagrams, datagrams_dropped

    struct pool:
        size_t n_free, n_used

    struct bell:
        int fd

    struct c_engine "engine":
        pthread_mutex_t lock
        bell event_bell
        counters counters
        pool pool

    c_engine *engine_start() noexcept
    void engine_stop(c_engine *) noexcept
    engine_event *engine_take_event(c_engine *) noexcept
    void engine_wake(c_engine *) noexcept
    c_tunnel *engine_find_tunnel(c_engine *, uint64_t) noexcept
    c_server *engine_find_server(c_engine *, uint64_t) noexcept
    c_pair *engine_find_pair(c_engine *, uint64_t) noexcept
    c_hold *engine_find_hold(c_engine *, uint64_t) noexcept
    c_udp_redirect *engine_find_udp_redirect(c_engine *, uint64_t) noexcept


cdef extern from "mux.h" nogil:
    enum:
        WINDOW_START

    struct mux:
        uint64_t grown
        uint64_t rtt_us
        unsigned int n_streams


cdef extern from "block.h" nogil:
    struct outbox:
        uint64_t acked, written, queued


cdef extern from "carrier.h" nogil:
    struct c_carrier "carrier":
        pass


cdef extern from "poller.h" nogil:
    struct poll_item:
        pass


cdef extern from "socks5.h" nogil:
    enum:
        SOCKS5_SERVICE
        SOCKS5_DOMAIN


cdef extern from "tunnel.h" nogil:
    struct c_tunnel "tunnel":
        uint64_t number
        c_carrier *carrier
        uint64_t received
        mux mux
        outbox out

    c_tunnel *tunnel_open(c_engine *, bint agent) noexcept
    void tunnel_close(c_tunnel *) noexcept
    int tunnel_attach(c_tunnel *, c_carrier *, uint64_t peer_received, const uint8_t *, size_t) noexcept
    int tunnel_attach_socket(c_tunnel *, int fd, uint64_t peer_received, const uint8_t *, size_t) noexcept
    uint64_t tunnel_detach(c_tunnel *) noexcept


cdef extern from "link.h" nogil:
    int link_open(c_tunnel *, int fd, const poll_item *, const uint8_t *head, size_t) noexcept


cdef extern from "join.h" nogil:
    int join_tunnels(c_tunnel *, c_tunnel *) noexcept


cdef extern from "exposure.h" nogil:
    int64_t exposure_open(c_tunnel *, uint16_t pod_port, uint16_t laptop_port) noexcept
    void exposure_close(c_tunnel *, uint64_t number) noexcept


cdef extern from "server.h" nogil:
    struct c_server "server":
        uint64_t number
        bint transparent

    c_server *server_open(c_engine *, int listener, c_tunnel *, const char *user, const char *password) noexcept
    void server_close(c_server *) noexcept


cdef extern from "redirect.h" nogil:
    int redirect_ask(c_server *, int fd) noexcept


cdef extern from "udp_redirect.h" nogil:
    struct c_udp_redirect "udp_redirect":
        uint64_t number

    c_udp_redirect *udp_redirect_open(c_engine *, int fd, int raw, c_tunnel *) noexcept
    void udp_redirect_close(c_udp_redirect *) noexcept


cdef extern from "hold.h" nogil:
    struct c_hold "hold":
        uint64_t number

    c_hold *hold_open(c_engine *, int log, int raw4, int raw6, c_tunnel *) noexcept
    void hold_close(c_hold *) noexcept


cdef extern from "pair.h" nogil:
    struct c_pair "pair":
        uint64_t number

    c_pair *pair_open(c_engine *, int a, bint a_registered, int b, bint b_registered) noexcept
    void pair_close(c_pair *) noexcept
