"""Take the questions that the firewall turned to us, from UDP and TCP, and see them answered.

Called by: method/vpn.
Owns: a listening port for each of the laptop's name servers, and every question under way.
Never: changes a message that is not about the cluster: it goes to the very name server that the
program asked, and the answer comes back, as they are.
"""

import asyncio
import contextlib
import functools
import logging
import socket
import struct
from collections.abc import Callable

from telepresence.method.vpn import message
from telepresence.method.vpn.message import Question
from telepresence.method.vpn.names import Address
from telepresence.method.vpn.ownsockets import open_marked
from telepresence.method.vpn.resolver import Resolver

log = logging.getLogger(__name__)

UNDER_WAY = 2048  # questions; more are dropped, as a busy resolver does
LAPTOP_TIMEOUT_S = 10.0  # twice resolv.conf(5)'s: the client has tried again by then
TCP_IDLE_S = 30.0
DATAGRAMS_A_TURN = 64
TRIES = 20  # to find a port that is free for UDP and TCP
Deliver = Callable[[bytes], None]


class Laptop:
    """One of the laptop's own name servers."""

    def __init__(self, address: Address, mark: int) -> None:
        self._address, self._mark = address, mark
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, tuple[socket.socket, asyncio.TimerHandle]] = {}

    def relay(self, data: bytes, deliver: Deliver) -> None:
        """A datagram there and, if one comes, its answer back, each as it is."""
        if len(self._waiting) >= UNDER_WAY:
            return
        try:
            sock = open_marked(self._address, socket.SOCK_DGRAM, self._mark)
        except OSError as exc:  # no port, no descriptor: who asks will ask again
            log.debug("name server %s: %s", self._address, exc)
            return
        try:
            sock.connect((str(self._address), 53))
            sock.send(data)
        except OSError as exc:
            log.debug("name server %s: %s", self._address, exc)
            sock.close()
            return
        timer = self._loop.call_later(LAPTOP_TIMEOUT_S, self._end, sock.fileno())
        self._waiting[sock.fileno()] = sock, timer
        self._loop.add_reader(sock, self._on_answer, sock, data[:2], deliver)

    def _on_answer(self, sock: socket.socket, id: bytes, deliver: Deliver) -> None:  # noqa: A002
        try:
            answer = sock.recv(65_535)
        except BlockingIOError:
            return
        except OSError as exc:  # nobody listens there
            log.debug("name server %s: %s", self._address, exc)
            self._end(sock.fileno())
            return
        if answer[:2] == id:
            self._end(sock.fileno())
            deliver(answer)

    def _end(self, number: int) -> None:
        sock, timer = self._waiting.pop(number)
        timer.cancel()
        self._loop.remove_reader(sock)
        sock.close()

    async def ask_tcp(self, data: bytes) -> bytes:
        """OSError, EOFError, TimeoutError."""
        with open_marked(self._address, socket.SOCK_STREAM, self._mark) as sock:
            async with asyncio.timeout(LAPTOP_TIMEOUT_S):
                await self._loop.sock_connect(sock, (str(self._address), 53))
                reader, writer = await asyncio.open_connection(sock=sock)
                with contextlib.closing(writer):
                    writer.write(len(data).to_bytes(2, "big") + data)
                    return await _read_message(reader)

    def close(self) -> None:
        for number in list(self._waiting):
            self._end(number)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(size)


def _bind(host: str) -> tuple[socket.socket, socket.socket]:
    """The same port for UDP and TCP, as one firewall rule each sends both there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(TRIES):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((host, 0))
        try:
            tcp = socket.create_server((host, udp.getsockname()[1]), family=family, backlog=128)
        except OSError:
            udp.close()
            continue
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.setblocking(False)
        return udp, tcp
    raise OSError(f"no port of {host} is free for UDP and TCP")


class NameServer:
    """async with NameServer(resolver, address, mark) as server: ... server.port

    Answers what programs ask of `address`, one of the laptop's name servers."""

    def __init__(self, resolver: Resolver, address: Address, mark: int) -> None:
        self._resolver = resolver
        self.address = address
        self._laptop = Laptop(address, mark)
        self._udp, self._tcp = _bind("127.0.0.1" if address.version == 4 else "::1")
        self.port: int = self._udp.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "NameServer":
        asyncio.get_running_loop().add_reader(self._udp, self._on_datagrams)
        self._server = await asyncio.start_server(self._on_connection, sock=self._tcp)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        asyncio.get_running_loop().remove_reader(self._udp)
        self._udp.close()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._laptop.close()

    def _on_datagrams(self) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, client = self._udp.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer
                continue
            self._on_question(data, functools.partial(self._send, client))

    def _send(self, client: tuple[str, int], answer: bytes) -> None:
        with contextlib.suppress(OSError):  # no room, or the client has gone: it asks again
            self._udp.sendto(answer, client)

    def _on_question(self, data: bytes, send: Deliver) -> None:
        question = message.take_question(data)
        if question is None:
            self._laptop.relay(data, send)
        elif (answer := self._resolver.known(question)) is not None:
            send(message.finish(question, answer, question.udp_bytes))
        elif self._resolver.theirs(question):
            self._laptop.relay(data, functools.partial(self._on_theirs, question, send))
        elif not self._resolver.begin(
            question, functools.partial(self._on_begun, question, data, send)
        ):
            self._spawn(self._resolve(question, data, send))

    def _on_begun(self, question: Question, data: bytes, send: Deliver, answer: bytes) -> None:
        if answer:
            send(message.finish(question, answer, question.udp_bytes))
        else:
            self._spawn(self._resolve(question, data, send))

    def _on_theirs(self, question: Question, send: Deliver, answer: bytes) -> None:
        if len(answer) > 3 and message.rcode(answer) == message.NXDOMAIN:
            self._spawn(self._late(question, answer, send))
        else:
            send(answer)

    async def _late(self, question: Question, answer: bytes, send: Deliver) -> None:
        found = await self._resolver.late(question)
        if found is not None and message.rcode(found) == message.NOERROR:
            answer = message.finish(question, found, question.udp_bytes)
        send(answer)

    async def _resolve(self, question: Question, data: bytes, send: Deliver) -> None:
        answer = await self._resolver.resolve(question)
        if answer is None:
            self._laptop.relay(data, send)
        else:
            send(message.finish(question, answer, question.udp_bytes))

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        if len(self._tasks) >= UNDER_WAY:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, TimeoutError):
            while True:
                async with asyncio.timeout(TCP_IDLE_S):
                    data = await _read_message(reader)
                answer = await self._answer_tcp(data)
                writer.write(len(answer).to_bytes(2, "big") + answer)

    async def _answer_tcp(self, data: bytes) -> bytes:
        question = message.take_question(data)
        if question is None:
            return await self._laptop.ask_tcp(data)
        answer = self._resolver.known(question)
        if answer is None and not self._resolver.theirs(question):
            answer = await self._resolver.resolve(question)
        if answer is None:
            theirs = await self._laptop.ask_tcp(data)
            if message.rcode(theirs) != message.NXDOMAIN:
                return theirs
            answer = await self._resolver.late(question)
            if answer is None or message.rcode(answer) != message.NOERROR:
                return theirs
        return message.finish(question, answer, 65_535)
