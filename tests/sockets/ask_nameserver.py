"""Ask for the pod's name server by TCP and UDP, inside namespaces with a resolv.conf of their own.

Called by: test_nameserver.py under unshare(1), with a resolv.conf and its server's address.
Owns: its mount and network namespaces, as root of a user namespace.
Never: reaches a network; prints more than one line of JSON, what came back from where.
"""

import contextlib
import json
import subprocess
import sys

from udp_wires import Association, UdpServer, echo_back
from wires import (
    CONNECT,
    Ends,
    Server,
    connected_pair,
    echo,
    open_socks,
    read_exactly,
    read_reply,
    request,
)

PORT = 53


def main() -> None:
    resolv_conf, host = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", resolv_conf, "/etc/resolv.conf"], check=True)
    found: list[tuple[str, int]] = []
    with contextlib.ExitStack() as stack:
        stack.callback(UdpServer(echo_back, host, PORT).close)
        stack.callback(Server(echo, host, PORT).close)
        ends = stack.enter_context(contextlib.closing(Ends()))
        ends.attach(*connected_pair())
        client = stack.enter_context(contextlib.closing(Association(ends.socks.port)))
        found += [client.ask(asked, PORT, b"query")[:2] for asked in ("0.0.0.0", "::", host)]
        for asked in ("0.0.0.0", "::"):
            with open_socks(ends.socks.port, request(CONNECT, asked, PORT)) as sock:
                code, _, _ = read_reply(sock)
                if code == 0:
                    sock.sendall(b"query")
                    read_exactly(sock, 5)
                found.append((asked, code))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
