"""A server of the cluster that sends datagrams back, and a program that asks it.

Called by: the tests of vpn-tcp and of containers.
Owns: nothing; the server goes with its namespace.
Never: sends a datagram itself.
"""

from rig import kubectl, objects

ECHO = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 7000))
print("up", flush=True)
while True:
    sock.sendto(*sock.recvfrom(65536))
"""
# Asks each host that it is given, unconnected; an answer comes from the address that was asked.
ASK = """
import socket, sys
for host in sys.argv[1:]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(1)
    for _ in range(10):  # a Service takes its time, and what came before is lost
        sock.sendto(b"?", (host, 7000))
        try:
            sock.recv(1)
            break
        except (ConnectionRefusedError, TimeoutError):
            pass
    sock.close()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    for size in (0, 1, 1400, 20_000):
        sock.sendto(bytes(size), (host, 7000))
        data, source = sock.recvfrom(65536)
        assert (len(data), source) == (size, (host, 7000)), (size, len(data), source)
    print(host)
"""


def make_echo(namespace: str) -> list[str]:
    """The server's own address and that of its Service."""
    kubectl("run", "udp", "-n", namespace, "--image", "localhost/sandbox-base:1", "--port", "7000",
            "--image-pull-policy=IfNotPresent", "--", "python3", "-c", ECHO)  # fmt: skip
    kubectl("expose", "pod", "udp", "-n", namespace, "--protocol=UDP", "--port=7000")
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/udp", "--timeout=50s")
    (pod,) = objects("pods", "-n", namespace, "-l", "run=udp")
    (service,) = objects("services", "-n", namespace, "-l", "run=udp")
    return [pod["status"]["podIP"], service["spec"]["clusterIP"]]
