#!/usr/bin/python3
"""Answer every GET on port 80 with a greeting that names the pod.

Called by: the helloworld and web workloads.  Owns: port 80 of the pod.
Never: reads anything but the request."""

import http.server
import signal
import socket
import sys


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"Hello, world! I am {socket.gethostname()}; you asked for {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a benchmark asks a few thousand times a second."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 80), Hello).serve_forever()
