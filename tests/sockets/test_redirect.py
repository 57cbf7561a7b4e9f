"""Connections that a firewall rule turned to the engine, in a network namespace of their own.

Each test runs as a program inside user and network namespaces that it may change; the rules are
nft's, where sshuttle's would be.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

RULES = """
table inet t {
  chain out {
    type nat hook output priority -100;
    ip daddr 10.96.0.0/16 meta l4proto tcp redirect to :PORT4
    ip6 daddr fd00:96::/64 meta l4proto tcp redirect to :PORT6
  }
}
"""
POD = """
link set lo up
route add local 10.96.0.0/16 dev lo
route add local fd00:96::/64 dev lo
"""
LAPTOP = """
link set lo up
link add out type veth peer name far
link set out up
link set far up
address add 192.0.2.1/24 dev out
address add fd00:1::1/64 dev out nodad
route add default via 192.0.2.2 dev out
route add default via fd00:1::2 dev out
"""
# The engines' threads stay in the first namespace, the pod's; the test moves to the second.
PRELUDE = f"""
import ctypes, os, socket, subprocess, sys, threading, time
sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))  # threads may wait
sys.path.insert(0, {str(HERE)!r})
from telepresence.fastpath import RedirectServer
from wires import *

def ip(lines):
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)

def dial(host, port):
    return socket.create_connection((host, port), DEADLINE_S)

ip({POD!r})
ends = Ends()
ends.attach(*connected_pair())
def serve(handle, host="0.0.0.0"):
    return Server(handle, host)
four, six = serve(echo), serve(echo, "::")
def into_the_laptop():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET, of this thread
    ip({LAPTOP!r})
    door4 = socket.create_server(("127.0.0.1", 0), backlog=512)
    door6 = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=512)
    ports = door4.getsockname()[1], door6.getsockname()[1]
    rules = {RULES!r}.replace("PORT4", str(ports[0])).replace("PORT6", str(ports[1]))
    RedirectServer(ends.laptop, door4, tunnel=ends.laptop_tunnel)
    RedirectServer(ends.laptop, door6, tunnel=ends.laptop_tunnel)
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    return ports
"""
EPILOGUE = """
four.close()
six.close()
ends.close()
"""


def run(program: str, *, before: str = "") -> list[str]:
    return run_program(PRELUDE + before + "ports = into_the_laptop()\n" + program + EPILOGUE)


def run_program(whole: str) -> list[str]:
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c"]
    done = subprocess.run([*words, whole], capture_output=True, text=True, timeout=60, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_redirected_connection_goes_where_the_program_meant_it_to() -> None:
    assert (
        run("""
for host, port in (("10.96.3.4", four.port), ("fd00:96::7", six.port)):
    with dial(host, port) as sock:
        sock.sendall(b"hello")
        print(read_exactly(sock, 5), sock.getpeername()[:2] == (host, port))
        sock.shutdown(socket.SHUT_WR)
        print(sock.recv(1))
""")
        == ["b'hello' True", "b''"] * 2
    )


def test_data_sent_at_once_and_a_server_that_speaks_first() -> None:
    assert run(before="greeter = serve(lambda sock: (sock.sendall(b'220 hi'), sock.recv(1)))\n",
               program="""
with dial("10.96.0.1", greeter.port) as sock:
    print(read_exactly(sock, 6))
with dial("10.96.0.1", four.port) as sock:
    data = bytes(range(256)) * 20_000
    threading.Thread(target=sock.sendall, args=(data,)).start()
    print(read_exactly(sock, len(data)) == data)
greeter.close()
""") == ["b'220 hi'", "True"]  # fmt: skip


def test_a_refused_connect_is_reset_at_once() -> None:
    (line,) = run("""
began = time.monotonic()
try:
    print("read", dial("10.96.0.1", 1).recv(1))
except ConnectionResetError:
    print("reset", time.monotonic() - began < 0.25)
""")
    assert line == "reset True"


def test_nobody_reaches_the_listener_itself() -> None:
    assert run("""
for host, port in (("127.0.0.1", ports[0]), ("::1", ports[1])):
    try:
        print("read", dial(host, port).recv(1))
    except ConnectionResetError:
        print("reset")
print(ends.laptop.counters()["streams_opened"])
""") == ["reset", "reset", "0"]


def test_a_thousand_connections_leave_nothing() -> None:
    assert run("""
for turn in range(10):
    socks = [dial("10.96.0.1", four.port) for _ in range(100)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%03d" % number)
    for number, sock in enumerate(socks):
        assert read_exactly(sock, 3) == b"%03d" % number
        sock.close()
deadline = time.monotonic() + DEADLINE_S
while ends.laptop_tunnel.stats()["streams"]:
    assert time.monotonic() < deadline
    time.sleep(0.02)
print(ends.laptop.counters()["streams_reset"], ends.laptop.counters()["clients"])
""") == ["0 1000"]
