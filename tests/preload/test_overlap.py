"""A connect that waits for its answer leaves the rest of the program alone.

The pod answers for HELD only once somebody has connected to FREE: a program that a pending connect
brings to a halt never gets there, and its time runs out."""

import shutil
import sys

import pytest

from shim_rig import FREE, HELD, MakePod, Rig

ASYNCIO = f"""
import asyncio
async def talk(host):
    r, w = await asyncio.open_connection(host, 80)
    w.write(host.encode())
    said = await r.read(len(host))
    w.close()
    return said.decode(), w.get_extra_info('peername')[0]
async def main():
    held = [asyncio.ensure_future(talk('{HELD[0]}')) for _ in range(20)]
    await asyncio.sleep(0.1)
    try:
        await asyncio.wait_for(talk('{HELD[0]}'), 0.1)
    except asyncio.TimeoutError:
        print('timed out')
    print(await talk('{FREE[0]}'))
    print(set(await asyncio.gather(*held)))
"""
EXPECTED = f"timed out\n('{FREE[0]}', '{FREE[0]}')\n{{('{HELD[0]}', '{HELD[0]}')}}\n"

SELECTORS = f"""
import errno, selectors, socket, sys
def start(host):
    s = socket.socket(); s.setblocking(False)
    assert s.connect_ex((host, 80)) in (0, errno.EINPROGRESS)
    return s
sel = getattr(selectors, sys.argv[1])()
held = [start('{HELD[0]}') for _ in range(5)]
for s in held: sel.register(s, selectors.EVENT_WRITE | selectors.EVENT_READ)
print(sel.select(0.05))
free = start('{FREE[0]}')
sel.register(free, selectors.EVENT_WRITE)
order = []
while len(order) < 6:
    for key, _ in sel.select(9):
        assert key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        order.append(key.fileobj.getpeername()[0])
        sel.unregister(key.fileobj)
print(sorted(order), held[0].gettimeout())
"""

NODE = f"""
const net = require('net'); const order = [];
const done = name => {{
    order.push(name);
    if (order.length == 2) {{ console.log(order.join()); process.exit(); }}
}};
net.connect(80, '{HELD[0]}', () => done('held'));
setTimeout(() => net.connect(80, '{FREE[0]}', () => done('free')), 100);
"""


@pytest.mark.parametrize("run", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_event_loops_go_on(rig: Rig, make_pod: MakePod, run: str) -> None:
    pod = make_pod(held={HELD}, release_on=FREE)
    done = rig.run([sys.executable, "-c", ASYNCIO + run], pod.settings())
    assert (done.stdout, done.returncode) == (EXPECTED, 0)


@pytest.mark.parametrize("selector", ["SelectSelector", "PollSelector", "EpollSelector"])
def test_every_selector_waits_for_the_answer(rig: Rig, make_pod: MakePod, selector: str) -> None:
    pod = make_pod(held={HELD}, release_on=FREE)
    done = rig.run([sys.executable, "-c", SELECTORS, selector], pod.settings())
    expected = "[]\n" + str(sorted([FREE[0]] + 5 * [HELD[0]])) + " 0.0\n"
    assert (done.stdout, done.returncode) == (expected, 0)


def test_node_goes_on(rig: Rig, make_pod: MakePod) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    pod = make_pod(held={HELD}, release_on=FREE)
    assert rig.run(["node", "-e", NODE], pod.settings()).stdout in ("free,held\n", "held,free\n")


def test_a_programs_own_timeout_holds(rig: Rig, make_pod: MakePod) -> None:
    pod = make_pod(held={HELD}, release_on=FREE)
    argv = ["curl", "-sS", "--connect-timeout", "1", f"http://{HELD[0]}"]
    done = rig.run(argv, pod.settings())
    assert done.returncode == 28  # curl(1): operation timeout


@pytest.mark.parametrize("password", ["", "p"])
def test_an_interrupted_connect_ends(rig: Rig, make_pod: MakePod, password: str) -> None:
    """Ctrl-C reaches a Python that waits in a blocking connect."""
    script = f"""
import signal, socket, time
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop); signal.setitimer(signal.ITIMER_REAL, 0.1)
start = time.monotonic()
try: socket.create_connection({HELD!r})
except KeyboardInterrupt: print('interrupted', time.monotonic() - start < 5)
"""
    pod = make_pod(held={HELD}, username=password, password=password)
    assert rig.run(["python3", "-c", script], pod.settings()).stdout == "interrupted True\n"


def test_a_restarted_connect_goes_on(rig: Rig, make_pod: MakePod) -> None:
    """A signal with SA_RESTART does not end a blocking connect."""
    pod = make_pod(held={HELD}, release_on=FREE)
    script = f"""
import signal, socket, threading
signal.signal(signal.SIGALRM, lambda *_: print('rang')); signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.1)
threading.Timer(0.3, lambda: socket.create_connection({FREE!r}).close()).start()
held = socket.socket(); print(held.connect_ex({HELD!r}), held.getpeername()[0])
"""
    done = rig.run(["python3", "-c", script], pod.settings())
    assert sorted(done.stdout.splitlines()) == [f"0 {HELD[0]}", "rang"]


def test_the_sockets_own_timeout_holds(rig: Rig, make_pod: MakePod) -> None:
    """SO_SNDTIMEO ends a blocking connect with EINPROGRESS (socket(7))."""
    pod = make_pod(held={HELD}, release_on=FREE)
    script = f"""
import errno, socket, struct
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 200000))
print(errno.errorcode[s.connect_ex({HELD!r})])
"""
    assert rig.run(["python3", "-c", script], pod.settings()).stdout == "EINPROGRESS\n"


def test_a_number_in_its_next_life_is_not_pending(rig: Rig, make_pod: MakePod) -> None:
    """Closed where no hook sees it while its connect was pending, then given to a pipe."""
    pod = make_pod(held={HELD})
    script = f"""
import ctypes, os, select, socket
before = os.open('/dev/null', os.O_RDONLY)
s = socket.socket(); s.setblocking(False); s.connect_ex({HELD!r})
one = s.detach()
assert ctypes.CDLL(None).close_range(one, one, 0) == 0
os.close(before)
assert os.pipe() == (before, one)
poll = select.poll(); poll.register(one, select.POLLOUT)
print(poll.poll(5000) == [(one, select.POLLOUT)], select.select([], [one], [], 5)[1] == [one])
"""
    assert rig.run(["python3", "-c", script], pod.settings()).stdout == "True True\n"
