"""vpn-tcp's rules for macOS at work, as far as Linux can: sshuttle's pf code, the process with
privileges and the engine are the real ones; pfctl and DIOCNATLOOK are pf/'s, behind which nft turns
connections and its connection tracking knows where they were meant to go.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from pf_folder import FORGETTING, TOKEN, lay_out, record

from test_redirect import PRELUDE

SERVER = "198.18.0.53"  # the laptop's name server
LAPTOP = f"""
link set lo up
link add out type veth peer name far
link set out up
link set far up
address add 192.0.2.1/24 dev out
address add {SERVER}/32 dev lo
address add fd00:1::1/64 dev out nodad
route add default via 192.0.2.2 dev out
route add default via fd00:1::2 dev out
"""
MACOS = (
    PRELUDE
    + f"""
import asyncio, ctypes, ipaddress, signal, json
from pathlib import Path
from telepresence.method.vpn import firewall as module
from telepresence.method.vpn.doors import open_doors
from telepresence.method.vpn.ownsockets import PORT_MARKS, open_marked
module.HELPER = Path(sys.argv[1], "as_macos.py")
NET, HOST = ipaddress.ip_network, ipaddress.ip_address
def into_the_laptop():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET, of this thread
    ip({LAPTOP!r})
    # Ports that the kernel gives away are macOS's: net.inet.ip.portrange.
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("49152 65535")
def ruleset():
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    return done.stdout
def rules(ports, **changed):
    return module.Rules(**dict(dict(
        included=(NET("10.96.0.0/16"), NET("fd00:96::/64")), excluded=(NET("10.96.9.9/32"),),
        port4=ports[4], port6=ports[6], names=((HOST("{SERVER}"), 5300),), bypass=(PORT_MARKS[0],),
    ), **changed))
async def inside(test, **changed):
    at_end = []
    async with module.Firewall("pf") as firewall:
        ports = open_doors(ends.laptop, ends.laptop_tunnel, at_end.append, firewall.sockets, (4, 6))
        await firewall.start(rules(ports, **changed))
        print(*firewall.without)
        await test(firewall)
    for end in at_end:
        end()
    print("nft:", ruleset().strip() or "nothing")
into_the_laptop()
def run(test, **changed):
    asyncio.run(inside(test, **changed))
    four.close(); six.close(); ends.close()
def processes():
    done = subprocess.run(["pgrep", "-f", "as_macos.py pf"], capture_output=True, text=True)
    mine, pids = {{os.getpid()}}, []
    for pid in map(int, done.stdout.split()):
        parent = int(Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])
        if parent in mine:
            mine.add(pid)
            pids.append(pid)
    return pids
"""
)
WITHOUT = "UDP, and for connects that fail as the pod's do (they are reset later)"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where pfctl is, and all that is to be known of it."""
    return lay_out(tmp_path / "bin")


def run(program: str, folder: Path) -> list[str]:
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c"]
    done = subprocess.run(
        [*words, MACOS + program, str(folder)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_connections_go_where_they_were_meant_to_and_the_rules_go_at_the_end(place: Path) -> None:
    assert run("""
async def test(firewall):
    places = ("10.96.3.4", four.port), ("fd00:96::7", six.port), ("10.96.3.5", four.port)
    for host, port in places:
        with dial(host, port) as sock:
            sock.sendall(b"hello")
            print(read_exactly(sock, 5), sock.getpeername()[:2] == (host, port))
    try:
        print("read", dial("10.96.0.1", 1).recv(1))
    except ConnectionResetError:
        print("refused")
    socks = [dial("10.96.0.1", four.port) for _ in range(200)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%03d" % number)
    print(all(read_exactly(sock, 3) == b"%03d" % n for n, sock in enumerate(socks)))
    for sock in socks:
        sock.close()
run(test)
""", place) == [WITHOUT, *["b'hello' True"] * 3, "refused", "True", "nft: nothing"]  # fmt: skip
    said = record(place)
    anchors = [line.split()[1] for line in said if line.endswith("/dev/stdin")]
    assert [anchor.rpartition("-")[0] for anchor in anchors] == [
        "com.apple/telepresence-14336-6", "com.apple/telepresence-14336-4",
    ]  # fmt: skip
    looked = ["-s Interfaces -i lo -v", "-s rules", "-s nat"]
    started = [*looked, f"-a {anchors[0]} -f /dev/stdin", "-E", *FORGETTING,
               f"-a {anchors[1]} -f /dev/stdin", *FORGETTING]  # fmt: skip
    ended = [f"-a {anchors[0]} -F all", f"-X {TOKEN}", *FORGETTING,
             f"-a {anchors[1]} -F all", *FORGETTING]  # fmt: skip
    assert said == [*started, *ended]


def test_what_is_excluded_is_and_a_range_may_come_later(place: Path) -> None:
    assert run("""
def fate(host):
    try:
        with socket.create_connection((host, four.port), 0.5) as sock:
            sock.sendall(b"hi")
            return read_exactly(sock, 2)
    except OSError as exc:
        return type(exc).__name__
ip("route add unreachable 10.96.9.9/32\\nroute add unreachable 10.96.200.1/32\\n")
async def test(firewall):
    print(fate("10.96.9.8"), fate("10.96.9.9"), fate("10.96.200.1"))
    firewall.add([NET("10.96.200.1/32")])
    ip("route del unreachable 10.96.200.1/32\\n")
    for _ in range(300):
        if "10.96.200.1" in ruleset():
            break
        await asyncio.sleep(0.02)
    print(fate("10.96.200.1"), fate("10.96.9.9"))
run(test, included=(NET("10.96.0.0/17"),))
""", place)[1:] == ["b'hi' OSError OSError", "b'hi' OSError", "nft: nothing"]  # fmt: skip


@pytest.mark.parametrize("which", [0, 1])
def test_whichever_process_is_killed_the_rules_go(which: int, place: Path) -> None:
    """The outer one, and the inner one, which is sshuttle's and has pf's reference."""
    assert run(f"""
async def test(firewall):
    os.kill(processes()[{which}], signal.SIGKILL)
    try:
        await asyncio.wait_for(firewall.failed, 10)
    except module.MethodError as error:
        print(error)
    for _ in range(500):
        said = Path(sys.argv[1], "record").read_text()
        if not ruleset() and "-X" in said and "mDNSResponder" in said.splitlines()[-1]:
            break
        await asyncio.sleep(0.01)
run(test)
""", place)[1:] == [
        "the process with the firewall rules is gone, and its rules with it", "nft: nothing",
    ]  # fmt: skip
    assert record(place)[-2:] == FORGETTING
    assert record(place).count(f"-X {TOKEN}") == 1


def test_names_are_captured_and_our_own_questions_are_not(place: Path) -> None:
    """Of two sessions the newer one answers first; its own questions come to the older one."""
    assert run(f"""
def listen(port, kind, host="127.0.0.1"):
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind((host, port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    sock.settimeout(5)
    return sock
def ask(kind, mark):
    if mark:
        sock = open_marked(HOST("{SERVER}"), kind, mark)
        sock.settimeout(5)
    else:
        sock = socket.socket(socket.AF_INET, kind)
    sock.connect(("{SERVER}", 53))
    sock.send(b"question")
    return sock
old, new = PORT_MARKS[:2]
doors = {{}}
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    doors[kind] = {{"old": listen(5300, kind), "new": listen(5400, kind),
                   "server": listen(53, kind, "{SERVER}")}}
def who(kind, mark):
    import select
    with ask(kind, mark) as sock:
        ready, _, _ = select.select(list(doors[kind].values()), [], [], 5)
        (name,) = [name for name, door in doors[kind].items() if door in ready]
        if kind == socket.SOCK_DGRAM:
            _, address = ready[0].recvfrom(100)
            ready[0].sendto(b"answer", address)
            print(name, sock.recv(100), sock.getpeername()[0])
        else:
            ready[0].accept()[0].close()
            print(name)
async def both(older):
    async def test(newer):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            for mark in (None, new, old):
                who(kind, mark)
    await inside(test, names=((HOST("{SERVER}"), 5400),), bypass=(new, old),
                 included=(NET("10.200.0.0/16"),), excluded=())
    who(socket.SOCK_DGRAM, None)
run(both)
""", place)[2:8] == [
        f"new b'answer' {SERVER}", f"old b'answer' {SERVER}", f"server b'answer' {SERVER}",
        "new", "old", "server",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("interfaces", "lo0 (skip)\n", "pf leaves lo0 out ('set skip on lo0'); sudo pfctl -f"),
        ("nat", 'nat-anchor "com.apple/*" all\n', 'have no rdr-anchor "com.apple/*"; sudo pfctl'),
        ("rules", "", 'have no anchor "com.apple/*"; sudo pfctl -f /etc/pf.conf'),
    ],
)
def test_a_pf_that_would_ignore_the_rules_is_refused(
    name: str, text: str, said: str, place: Path
) -> None:
    (place / name).write_text(text)
    (line, nft) = run("""
async def test(firewall):
    raise AssertionError
try:
    asyncio.run(inside(test))
except module.MethodError as error:
    print(error)
print("nft:", ruleset().strip() or "nothing")
four.close(); six.close(); ends.close()
""", place)  # fmt: skip
    assert said in line and "method pf" in line and nft == "nft: nothing"
    assert not [words for words in record(place) if not words.startswith("-s")]
