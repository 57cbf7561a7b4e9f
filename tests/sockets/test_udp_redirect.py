"""Datagrams that a firewall rule turned to the engine, in a network namespace of their own.

As in test_redirect.py, but that the laptop's engine, which makes sockets, starts in the second one.
"""

from test_redirect import HERE, run_program

PRELUDE = """
import ctypes, os, socket, subprocess, sys, time
sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))  # threads may wait
sys.path.insert(0, @HERE@)
from telepresence.fastpath import DatagramRedirect, Engine, Tunnel
from udp_wires import *
from wires import *

def ip(lines, *words):
    subprocess.run(["ip", *words, "-batch", "-"], input=lines, text=True, check=True)

ip('''link set lo up
route add local 10.96.0.0/16 dev lo
address add fd00:96::7/128 dev lo nodad
''')
agent = Engine()
agent_tunnel = Tunnel(agent, role="agent")
near, far = connected_pair()
agent_tunnel.attach(far.detach(), 0)
four, six = UdpServer(echo_back, "0.0.0.0"), UdpServer(echo_back, "fd00:96::7")
names = UdpServer(echo_back, "10.96.0.10", 53)
assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET, of this thread
ip('''link set lo up
link add out type veth peer name other
link set out up
link set other up
address add 192.0.2.1/24 dev out
address add fd00:1::1/64 dev out nodad
route add default via 192.0.2.2 dev out
route add default via fd00:1::2 dev out
rule add fwmark 1 lookup 100
route add local default dev lo table 100
''')
ip('rule add fwmark 1 lookup 100\\nroute add local default dev lo table 100\\n', '-6')
laptop = Engine()
tunnel = Tunnel(laptop, role="laptop")
tunnel.attach(near.detach(), 0)
def door(family, host, level, option):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(level, option, 1)
    sock.bind((host, 0))
    port = sock.getsockname()[1]
    DatagramRedirect(laptop, sock, tunnel=tunnel)
    return port
ports = door(socket.AF_INET, "127.0.0.1", 0, 19), door(socket.AF_INET6, "::1", 41, 75)
subprocess.run(["nft", "-f", "-"], text=True, check=True, input='''table inet t {
  chain out {
    type route hook output priority -150
    meta l4proto udp fib daddr type != local meta mark set 1
  }
  chain in {
    type filter hook prerouting priority -150
    meta nfproto ipv4 meta mark 1 meta l4proto udp tproxy ip to 127.0.0.1:%d accept
    meta nfproto ipv6 meta mark 1 meta l4proto udp tproxy ip6 to [::1]:%d accept
  }
}''' % ports)

def ask(sock, to, payload):
    sock.sendto(payload, to)
    data, source = sock.recvfrom(70_000)
    return data == payload and source[:2] == to
def streams(wanted):
    deadline = time.monotonic() + DEADLINE_S
    while tunnel.stats()["streams"] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


def run(program: str) -> list[str]:
    # A server is closed by a datagram to itself, which only its own namespace can send.
    return run_program(
        PRELUDE.replace("@HERE@", repr(str(HERE)))
        + program
        + "\nimport os; print(flush=True); os._exit(0)"
    )[:-1]


def test_answers_come_from_where_a_program_asked() -> None:
    assert (
        run("""
for host, server in (("10.96.3.4", four), ("10.96.3.5", four), ("fd00:96::7", six)):
    with udp_socket("::" if ":" in host else "0.0.0.0") as sock:
        print(all(ask(sock, (host, server.port), bytes(size)) for size in (0, 1, 1400, 60_000)))
""")
        == ["True"] * 3
    )


def test_one_socket_speaks_with_many_and_is_one_association() -> None:
    assert run("""
sock = udp_socket("0.0.0.0")
print(all(ask(sock, (f"10.96.1.{n}", four.port), b"%d" % n) for n in range(1, 200)))
connected = udp_socket("0.0.0.0")
connected.connect(("10.96.2.2", four.port))
connected.send(b"hi")
print(connected.recv(10), tunnel.stats()["streams"])
""") == ["True", "b'hi' 2"]  # fmt: skip


def test_questions_to_name_servers_leave_nothing() -> None:
    assert run("""
for turn in range(200):
    with udp_socket("0.0.0.0") as sock:
        sock.sendto(b"A", ("10.96.0.10", 53))
        sock.sendto(b"AAAA", ("10.96.0.10", 53))
        assert {sock.recv(10), sock.recv(10)} == {b"A", b"AAAA"}
streams(0)
print(laptop.counters()["associations"] <= 400)
""") == ["True"]


def test_it_ends_with_the_tunnel() -> None:
    assert run("""
with udp_socket("0.0.0.0") as sock:
    print(ask(sock, ("10.96.3.4", four.port), b"x"))
tunnel.close()
print(laptop.counters()["datagrams_dropped"])
laptop.close()
""") == ["True", "0"]
