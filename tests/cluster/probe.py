"""What a session of the matrix runs: it does what it is told, in the session, and answers.

Called by: matrix.py, which gives its text to a python3 of the laptop or of a container.
Owns: the servers that it is told to start, until it ends.
Never: imports what is not Python's own.

Each line of standard input is [name of a function, its arguments ...] as JSON, each of standard
output {"value": ...} or {"error": ...}.
"""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path


def environ() -> dict[str, str]:
    return dict(os.environ)


def read(path: str) -> str:
    """Variables in the path are those of the session."""
    return Path(os.path.expandvars(path)).read_text()


def run(*argv: str) -> list[object]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    return [done.returncode, done.stdout, done.stderr]


def get(url: str) -> str:
    text: bytes = urllib.request.urlopen(url, timeout=20).read()
    return text.decode()


def address(name: str) -> str:
    return socket.gethostbyname(name)


def name(address: str) -> str:
    return socket.gethostbyaddr(address)[0]


def serve(port: int, said: str) -> None:
    """HTTP on 127.0.0.1."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def leave(code: int) -> None:
    os._exit(code)


if __name__ == "__main__":
    for line in sys.stdin:
        asked, *arguments = json.loads(line)
        try:
            answer = {"value": globals()[asked](*arguments)}
        except Exception as error:  # noqa: BLE001 # it is the answer
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
