# What an engine serves beside the tunnel.
# Called by: telepresence.fastpath, as part of engine.pyx.  Owns: nothing; the engine owns the sockets.
# Never: sees a payload byte.


cdef class SocksServer(_Part):
    cdef readonly int port
    cdef bint _transparent

    def __init__(self, Engine engine, listener, *, Tunnel tunnel=None, username=None, password=None):
        cdef bytes user = (username or "").encode()
        cdef bytes word = (password or "").encode()
        cdef c_server *s
        if (username is None) != (password is None) or len(user) > 255 or len(word) > 255:
            raise ValueError("user name and password: both or neither, 255 bytes at most")
        self.engine = engine
        self.port = listener.getsockname()[1]
        with _Locked(engine):
            s = server_open(engine._c, listener.fileno(), tunnel._find() if tunnel is not None else NULL,
                            <const char *>user if username is not None else NULL, word)
            _check(-errno if s == NULL else 0)
            listener.detach()
            s.transparent, self.number = self._transparent, s.number

    cdef _end(self):
        cdef c_server *s = engine_find_server(self.engine._c, self.number)
        if s != NULL:
            server_close(s)


cdef class RedirectServer(SocksServer):
    def __init__(self, Engine engine, listener, *, Tunnel tunnel not None, asked=None):
        self._transparent = True
        SocksServer.__init__(self, engine, listener, tunnel=tunnel)
        if asked is not None:
            with _Locked(engine):
                _check(redirect_ask(engine_find_server(engine._c, self.number), asked.fileno()))
                asked.detach()


cdef class ConnectHold(_Part):
    def __init__(self, Engine engine, log, raw4, raw6=None, *, Tunnel tunnel not None):
        cdef c_hold *h
        cdef int six = raw6.fileno() if raw6 is not None else -1
        self.engine = engine
        with _Locked(engine):
            h = hold_open(engine._c, log.fileno(), raw4.fileno(), six, tunnel._find())
            _check(-errno if h == NULL else 0)
            for sock in (log, raw4, raw6):
                if sock is not None:
                    sock.detach()
            self.number = h.number

    cdef _end(self):
        cdef c_hold *h = engine_find_hold(self.engine._c, self.number)
        if h != NULL:
            hold_close(h)


cdef class DatagramRedirect(_Part):
    def __init__(self, Engine engine, sock, raw=None, *, Tunnel tunnel not None):
        cdef c_udp_redirect *r
        cdef int answers = raw.fileno() if raw is not None else -1
        self.engine = engine
        with _Locked(engine):
            r = udp_redirect_open(engine._c, sock.fileno(), answers, tunnel._find())
            _check(-errno if r == NULL else 0)
            sock.detach()
            if raw is not None:
                raw.detach()
            self.number = r.number

    cdef _end(self):
        cdef c_udp_redirect *r = engine_find_udp_redirect(self.engine._c, self.number)
        if r != NULL:
            udp_redirect_close(r)


cdef class Relay(_Part):
    def __init__(self, Engine engine, int a_fd, int b_fd):
        cdef c_pair *p
        with _Locked(engine):
            p = pair_open(engine._c, a_fd, False, b_fd, False)
            if p == NULL:
                _check(-errno)
            self.number = p.number
        self.engine = engine

    @property
    def open(self):
        with _Locked(self.engine):
            return engine_find_pair(self.engine._c, self.number) != NULL

    cdef _end(self):
        cdef c_pair *p = engine_find_pair(self.engine._c, self.number)
        if p != NULL:
            pair_close(p)
