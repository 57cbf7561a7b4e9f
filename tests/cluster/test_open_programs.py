"""Programs that the shim enters, in the cluster: connections, names, records and datagrams."""

import pytest

from rig import Telepresence

HELLO = "Hello, world! I am helloworld-"
WHOLE = "helloworld.default.svc.cluster.local"
SEARCH = """
import ctypes
answer = ctypes.create_string_buffer(4096)
print("res_search", ctypes.CDLL(None).res_search(b"helloworld", 1, 1, answer, 4096) > 0)
"""
# A datagram to the cluster's name server by its address: no port of this laptop's resolv.conf.
DATAGRAM = """
import socket, struct, sys
name = b"".join(bytes([len(word)]) + word.encode() for word in sys.argv[1].split("."))
query = struct.pack("!6H", 7, 256, 1, 0, 0, 0) + name + bytes([0, 0, 1, 0, 1])
server = socket.gethostbyname("kube-dns.kube-system.svc.cluster.local")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(9)
sock.sendto(query, (server, 53))
data, sender = sock.recvfrom(999)
print("datagram", data[:2] == query[:2], sender == (server, 53))
"""


@pytest.mark.parametrize("inject", ["auto", "preload"])
def test_a_shell_starts_programs_of_every_kind(telepresence: Telepresence, inject: str) -> None:
    script = f"""
        curl -s --parallel http://helloworld http://{WHOLE}
        wget -q -O - http://helloworld
        node -e "fetch('http://helloworld').then(r => r.text()).then(console.log)"
        env -i /usr/bin/curl -s http://helloworld
        echo http://helloworld | xargs -n 1 -P 2 curl -s
        timeout 9 sh -c 'curl -s http://helloworld'
        python3 -c '{SEARCH}'
        python3 -c '{DATAGRAM}' {WHOLE}
        test "$(dig +short {WHOLE})" = "$(getent ahostsv4 helloworld | cut -d ' ' -f 1 | uniq)" &&
            echo dig and getent agree
    """
    done = telepresence("--method", "inject-tcp", f"--inject={inject}", "--run", "sh", "-c", script)
    assert done.out.count(HELLO) == 7, done
    assert "res_search True\n" in done.out
    assert "datagram True True\n" in done.out
    assert "dig and getent agree\n" in done.out
