"""Whole ways of connections and datagrams: root's real rules, and an engine without privileges.

As in test_udp_redirect.py there are two namespaces: the pod's, and the laptop's, which has an
interface that leads nowhere.  What comes through has come through the tunnel.
"""

import pytest

from test_redirect import HERE, run_program

PRELUDE = """
import asyncio, contextlib, ctypes, errno, ipaddress, os, socket, struct, subprocess
import sys, threading, time
sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))  # threads may wait
sys.path.insert(0, @HERE@)
from telepresence.fastpath import Engine, Tunnel
from telepresence.method.vpn.doors import open_doors
from telepresence.method.vpn.firewall import Firewall, Rules
from udp_wires import *
from wires import *

METHOD = @METHOD@
LIBC = ctypes.CDLL(None, use_errno=True)
def ip(lines, *words):
    subprocess.run(["ip", *words, "-batch", "-"], input=lines, text=True, check=True)
def networks(*texts):
    return tuple(map(ipaddress.ip_network, texts))

ip('''link set lo up
route add local 10.96.0.0/16 dev lo
address add fd00:96::7/128 dev lo nodad
address add fd00:96::8/128 dev lo nodad
route add local 203.0.113.0/24 dev lo
route add unreachable 10.96.66.0/24
route add prohibit 10.96.67.0/24
''')
agent = Engine()
agent_tunnel = Tunnel(agent, role="agent")
near, far = connected_pair()
agent_tunnel.attach(far.detach(), 0)
udp4, udp6 = UdpServer(echo_back, "0.0.0.0"), UdpServer(echo_back, "fd00:96::7")
names = UdpServer(echo_back, "10.96.0.10", 53)
tcp4, tcp6 = Server(echo, "0.0.0.0"), Server(echo, "::")
greeter = Server(lambda sock: (sock.sendall(b"220 hi"), sock.recv(1)), "0.0.0.0")
full = socket.create_server(("0.0.0.0", 0), backlog=0)  # answers one connect and no more
waiting = socket.create_connection(("10.96.0.1", full.getsockname()[1]))
assert LIBC.unshare(0x40000000) == 0  # CLONE_NEWNET, of this thread
ip('''link set lo up
link add out type veth peer name other
link set out addrgenmode none
link set other addrgenmode none
link set out up
link set other up
address add 192.0.2.1/24 dev out
address add fd00:1::1/64 dev out nodad
route add default via 192.0.2.2 dev out
route add default via fd00:1::2 dev out
''')

def state():
    words = "for v in 4 6; do ip -$v rule; ip -$v route show table all; done; nft list ruleset; "
    words += "" if METHOD == "nft" else "iptables-save; ip6tables-save"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True)
    return "".join(l for l in done.stdout.splitlines(True) if not l.startswith("#"))

def drop_privileges():
    '''All capabilities of this thread, and so of those that it starts (capset(2)).'''
    assert LIBC.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0] * 6)) == 0

def dial(host, port, timeout_s=DEADLINE_S):
    return socket.create_connection((host, port), timeout_s)

def fails(host, port):
    '''The errno of a connect, and whether it came at once.'''
    began = time.monotonic()
    try:
        dial(host, port).close()
        return "connected"
    except OSError as error:
        return errno.errorcode[error.errno], time.monotonic() - began < 0.1

def ask(sock, to, payload):
    sock.sendto(payload, to)
    data, source = sock.recvfrom(70_000)
    return data == payload and source[:2] == to

def until(true):
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)

async def main(test):
    global loop
    loop = asyncio.get_running_loop()
    before = state()
    with contextlib.ExitStack() as stack:
        firewall = Firewall(METHOD)
        async with firewall:
            drop_privileges()
            laptop = Engine()
            tunnel = Tunnel(laptop, role="laptop")
            tunnel.attach(near.detach(), 0)
            ports = open_doors(laptop, tunnel, stack.callback, firewall.sockets, (4, 6))
            await firewall.start(Rules(
                included=networks("10.96.0.0/16", "fd00:96::/64"),
                excluded=networks("10.96.9.0/24"), port4=ports[4], port6=ports[6],
                names=(), bypass=(43,)))
            assert firewall.without == [], firewall.without
            await asyncio.to_thread(test, laptop, tunnel, firewall)
        print(state() == before)
    laptop.close()
    print(flush=True)
    os._exit(0)  # servers of another namespace
"""


def run(method: str, test: str) -> list[str]:
    prelude = PRELUDE.replace("@HERE@", repr(str(HERE))).replace("@METHOD@", repr(method))
    body = "".join(f"    {line}\n" for line in test.strip().splitlines())
    program = f"{prelude}\ndef test(laptop, tunnel, firewall):\n{body}\nasyncio.run(main(test))"
    *lines, restored, _ = run_program(program)
    if method == "nft":  # iptables leaves empty tables behind: test_rules.py
        assert restored == "True"
    return lines


@pytest.fixture(params=["nft", "nat"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_connections_of_both_families_go_through(method: str) -> None:
    assert run(method, """
for host, port in (("10.96.3.4", tcp4.port), ("fd00:96::7", tcp6.port)):
    with dial(host, port) as sock:
        sock.sendall(b"hello")
        print(read_exactly(sock, 5), sock.getpeername()[:2] == (host, port))
        sock.shutdown(socket.SHUT_WR)
        print(sock.recv(1))
with dial("10.96.0.1", greeter.port) as sock:
    print(read_exactly(sock, 6))
with dial("10.96.0.1", tcp4.port) as sock:
    data = bytes(range(256)) * 20_000
    threading.Thread(target=sock.sendall, args=(data,)).start()
    print(read_exactly(sock, len(data)) == data)
print(laptop.counters()["held"], laptop.counters()["clients"])
""") == [*["b'hello' True", "b''"] * 2, "b'220 hi'", "True", "4 4"]  # fmt: skip


def test_a_connect_fails_as_it_does_in_the_pod(method: str) -> None:
    assert run(method, """
print(fails("10.96.0.1", 1), fails("fd00:96::7", 1))
print(fails("10.96.66.1", 80))
print(fails("10.96.67.1", 80))
scan = ["nc", "-z", "-w", "5", "10.96.0.1"]
print(subprocess.run([*scan, "1"]).returncode, subprocess.run([*scan, str(tcp4.port)]).returncode)
until(lambda: tunnel.stats()["streams"] == 0)
""") == ["('ECONNREFUSED', True) ('ECONNREFUSED', True)", "('EHOSTUNREACH', True)",
         "('EHOSTUNREACH', True)", "1 0"]  # fmt: skip


def test_a_server_that_went_away_is_noticed_after_a_moment() -> None:
    """Within HOLD_TRUST_US a connect may still succeed, and is reset; afterwards it fails."""
    assert run("nft", """
with dial("10.96.0.1", greeter.port) as sock:
    read_exactly(sock, 6)
greeter.close()
try:
    with dial("10.96.0.1", greeter.port) as sock:
        print(sock.recv(1))
except ConnectionError:
    print("reset or refused")
print(fails("10.96.0.1", greeter.port))
""") == ["reset or refused", "('ECONNREFUSED', True)"]  # fmt: skip


def test_a_program_that_does_not_wait_leaves_nothing() -> None:
    """The pod's connect gets no answer; the program closes its socket meanwhile."""
    assert run("nft", """
try:
    dial("10.96.0.1", full.getsockname()[1], 0.3)
except TimeoutError:
    print("waits")
full.close()
until(lambda: tunnel.stats()["streams"] == 0)
""") == ["waits"]  # fmt: skip


def test_datagrams_of_every_kind(method: str) -> None:
    assert run(method, """
for host, server in (("10.96.3.4", udp4), ("10.96.3.5", udp4), ("fd00:96::7", udp6)):
    with udp_socket("::" if ":" in host else "0.0.0.0") as sock:
        print(all(ask(sock, (host, server.port), bytes(size)) for size in (0, 1, 2, 1400, 60_000)))
sock = udp_socket("0.0.0.0")
print(all(ask(sock, (f"10.96.1.{n}", udp4.port), b"%d" % n) for n in range(1, 100)))
connected = udp_socket("0.0.0.0")
connected.connect(("10.96.2.2", udp4.port))
connected.send(b"hi")
print(connected.recv(10), ask(sock, ("10.96.0.10", 53), b"name"))
sock.settimeout(0.3)
try:
    print(ask(sock, ("10.96.9.1", udp4.port), b"excluded"))
except TimeoutError:
    print("not ours")
""") == [*["True"] * 4, "b'hi' True", "not ours"]  # fmt: skip


def test_a_range_that_came_later_has_all_of_it(method: str) -> None:
    assert run(method, """
loop.call_soon_threadsafe(firewall.add, networks("203.0.113.7/32"))
with udp_socket("0.0.0.0") as sock:
    sock.settimeout(0.05)
    def answered():
        with contextlib.suppress(TimeoutError):
            return ask(sock, ("203.0.113.7", udp4.port), b"hi")
    until(answered)
dial("203.0.113.7", tcp4.port).close()
print(fails("203.0.113.7", 1))
""") == ["('ECONNREFUSED', True)"]  # fmt: skip


def test_two_hundred_connections_a_second_without_an_error_or_a_leak() -> None:
    """A short one: bench/vpn.py has the long one."""
    assert run("nft", """
opened = len(os.listdir("/proc/self/fd"))
began = time.monotonic()
for n in range(600):
    with dial(f"10.96.7.{n % 250 + 1}", tcp4.port) as sock:
        sock.sendall(b"%03d" % n)
        assert read_exactly(sock, 3) == b"%03d" % n
    time.sleep(max(0, began + n / 200 - time.monotonic()))
until(lambda: tunnel.stats()["streams"] == 0)
until(lambda: len(os.listdir("/proc/self/fd")) <= opened + 4)
print(laptop.counters()["held"], laptop.counters()["streams_reset"])
""") == ["600 0"]  # fmt: skip
