"""Servers as people run them: Redis, PostgreSQL, and git's own behind HTTP.

Called by: conftest.py, which puts them behind the pod's addresses.
Owns: their processes and files, until the context ends.
Never: listens on anything but loopback; keeps anything on a disk that matters.
"""

import contextlib
import http.server
import os
import pwd
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from services import Target

DEADLINE_S = 30.0
REDIS_READY, POSTGRES_READY = "Ready to accept connections", "ready to accept connections"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
    return port


@contextlib.contextmanager
def running(argv: list[str], ready: str, **options: object) -> Iterator[None]:
    """The process from its line that says `ready` on."""
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,  # type: ignore[call-overload]
    ) as process:  # fmt: skip
        seen = []
        for line in process.stdout:
            seen.append(line)
            if ready in line:
                break
        else:
            raise AssertionError(f"{argv[0]} did not start: {''.join(seen)}")
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        try:
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
            drain.join(DEADLINE_S)


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Target]:
    port = free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with running(words, REDIS_READY, cwd=folder):
        yield "127.0.0.1", port


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Target]:
    """Its programs are not in PATH on Debian, and refuse to run as root."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    options: dict[str, object] = {"cwd": folder}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, port = str(folder / "data"), free_port()
    make = [str(programs / "initdb"), "-A", "trust", "-U", "me", "--no-sync", "-D", data]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    words = [str(programs / "postgres"), "-F", "-D", data, "-p", str(port), "-k", ""]
    with running([*words, "-c", "listen_addresses=127.0.0.1"], POSTGRES_READY, **options):
        yield "127.0.0.1", port


class GitHandler(http.server.BaseHTTPRequestHandler):
    """git-http-backend(1), as a web server runs it: RFC 3875."""

    folder: Path

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HOME": str(self.folder),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        said = subprocess.run(
            ["git", "http-backend"], input=body, env=os.environ | asked, capture_output=True,
            timeout=DEADLINE_S, check=True,
        ).stdout  # fmt: skip
        status = re.match(rb"Status: (.+?)\r\n", said)
        self.wfile.write(b"HTTP/1.0 %s\r\n%s" % (status[1] if status else b"200 OK", said))

    do_POST = do_GET  # noqa: N815 # the standard library's names

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def git(folder: Path) -> Iterator[Target]:
    """it.git, with a file `it` on its first branch, and another on the branch `more`."""
    script = """
        commit="git -c user.name=me -c user.email=me@example.test commit -qm"
        git init -q -b pods it.git && cd it.git
        echo pods > it && git add it && $commit one
        git switch -qc more && echo more pods > it && $commit two it && git switch -q pods
    """
    environ = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, env=environ)
    handler = type("Handler", (GitHandler,), {"folder": folder})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join(DEADLINE_S)
