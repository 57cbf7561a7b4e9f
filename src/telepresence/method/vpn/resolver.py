"""Decide whose question it is, ask the pod, and remember what it said.

Called by: server.py.
Owns: the answers that are kept, each for its TTL.
Never: knows a client or the laptop's resolvers: whatever is theirs is handed in.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telepresence.errors import TunnelError
from telepresence.method.vpn import message
from telepresence.method.vpn.message import Labels, Question, Record
from telepresence.method.vpn.names import LAPTOP, PROBE, Choice, Policy

log = logging.getLogger(__name__)

REMEMBERED = 8192  # answers; a few hundred bytes each
KNOWN_S = 30.0  # CoreDNS' own time for "does not exist"
HOSTS_TTL_S = 5
ATTEMPTS = 2  # resolv.conf(5): a resolver's own
_NAMELESS = b"\x7f\0\0\1"  # what a probe is told: 127.0.0.1

Ask = Callable[[Labels, int], Awaitable[bytes]]
Begin = Callable[[Labels, int, Callable[[bytes], None]], bool]


@dataclass(slots=True)
class Kept:
    answer: bytes
    ttl_places: list[int]
    since_s: float
    until_s: float

    def aged(self, now_s: float) -> bytes:
        age_s = int(now_s - self.since_s)
        if not age_s:
            return self.answer
        out = bytearray(self.answer)
        for place in self.ttl_places:
            left = int.from_bytes(out[place : place + 4], "big") - age_s
            out[place : place + 4] = max(left, 0).to_bytes(4, "big")
        return bytes(out)


class Resolver:
    """`known`, `theirs`, `resolve`, `late`: what server.py does with a question, in this order."""

    def __init__(
        self,
        policy: Policy,
        ask: Ask,
        *,
        chained: bool = False,
        near: bool = False,
        begin: Begin | None = None,
        flat: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._domain = policy.pod.domain
        self._ask = ask
        self._clock = clock
        self._flat = flat  # no aliases: who follows one to the cluster's domain gets no further
        self._chained = chained  # another session's names are behind the laptop's resolvers
        self._kept: dict[tuple[Labels, int], Kept] = {}
        self._exists: dict[Labels, tuple[float, bool]] = {}
        self._begin = begin
        self._near = near  # the cluster's DNS may ask this laptop's resolvers, and so us
        self._asking: dict[tuple[Labels, int], asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[bool]] = set()
        self.suffixes: tuple[Labels, ...] = ()  # that the laptop's resolver appends, longest first
        self.probes: list[Labels] = []  # forms in which a probe came

    def known(self, question: Question) -> bytes | None:
        """An answer that needs nobody."""
        kept = self._kept.get((question.labels, question.kind))
        if kept is not None:
            now_s = self._clock()
            if now_s < kept.until_s:
                return kept.aged(now_s)
            del self._kept[question.labels, question.kind]
        hosts = self._policy.pod.hosts.get(question.labels)
        if hosts is not None and question.kind in (message.A, message.AAAA):
            version = 4 if question.kind == message.A else 6
            data = [host.packed for host in hosts if host.version == version]
            return self._say(question, data, HOSTS_TTL_S)
        if question.labels and question.labels[0].startswith(PROBE):
            return self._probed(question)
        return None

    def _say(self, question: Question, data: list[bytes], ttl_s: int) -> bytes:
        owner, kind = question.wire[:-4], question.kind
        return message.make_answer(
            question, message.NOERROR, [Record(owner, kind, 1, ttl_s, each) for each in data]
        )

    def _probed(self, question: Question) -> bytes:
        if question.labels not in self.probes[-16:]:
            self.probes.append(question.labels)
        rest = question.labels[1:]
        in_cluster = rest[-1:] == (b"svc",) or rest[-len(self._domain) :] == self._domain
        if rest and rest not in self.suffixes and not in_cluster:
            return message.make_answer(question, message.NXDOMAIN, [])
        return self._say(question, [_NAMELESS] if question.kind == message.A else [], 0)

    def choose(self, labels: Labels) -> Choice:
        return self._policy.choose(labels)

    def theirs(self, question: Question) -> bool:
        """The laptop's own resolvers are to be asked first; late() is for what they do not know."""
        choice = self._policy.choose(question.labels)
        if choice.whole is not None:
            return self._is_loop(question)
        if self._stripped(question.labels) is not None or choice is LAPTOP:
            return True
        if len(question.labels) == 1:
            return False
        places = [name for name in self._places(choice) if name is not None]
        known = [self._exists.get(name) for name in places]
        now_s = self._clock()
        for name, each in zip(places, known, strict=True):
            if each is not None and each[0] < now_s:  # old news will do while it is renewed
                self._renew(name)
        return all(each is not None and not each[1] for each in known)

    def _is_loop(self, question: Question) -> bool:
        """The cluster's DNS may itself be who asks, for what we have just asked it."""
        return self._near and (question.labels, question.kind) in self._asking

    def _stripped(self, labels: Labels) -> Labels | None:
        for suffix in self.suffixes:
            if len(labels) > len(suffix) and labels[-len(suffix) :] == suffix:
                return labels[: -len(suffix)]
        return None

    def _places(self, choice: Choice) -> tuple[Labels | None, Labels | None]:
        """The Service, or namespace, that must exist for a choice to make sense."""
        pod = self._policy.pod
        own = choice.own and choice.own[-len(pod.own) - 1 :]
        other = choice.other and choice.other[-len(pod.svc) - 1 :]
        return own, other

    def _renew(self, name: Labels) -> None:
        self._exists[name] = (self._clock() + KNOWN_S, self._exists[name][1])
        task = asyncio.get_running_loop().create_task(self._look(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, name: Labels) -> bool:
        """Whether there is a Service or a namespace of that name, with records or without."""
        try:
            found = message.rcode(await self._ask(name, message.A)) == message.NOERROR
        except TunnelError:
            found = False
        if len(self._exists) >= REMEMBERED:
            self._exists.clear()
        self._exists[name] = (self._clock() + KNOWN_S, found)
        return found

    async def _there(self, name: Labels | None) -> bool:
        if name is None:
            return False
        known = self._exists.get(name)
        return known[1] if known is not None else await self._look(name)

    def begin(self, question: Question, deliver: Callable[[bytes], None]) -> bool:
        """The quick way, for a name that is asked as it is: `deliver` gets the answer, to be
        finished, or b"" for resolve().  False: it is not for this name, or not now."""
        name = question.labels
        if self._begin is None or self._chained or self._policy.choose(name).whole != name:
            return False
        key = name, question.kind
        if key in self._asking:
            return False

        def on_answer(answer: bytes) -> None:
            if at_once := message.is_answer(question, answer):
                deliver(answer)
            self._asking.pop(key).set_result(answer)
            try:
                renamed, lifetime_s = message.rename(question, name, answer)
            except message.Malformed:
                renamed, lifetime_s = b"", 0
            if not at_once:
                deliver(renamed)
            if lifetime_s:
                self._keep(key, renamed, lifetime_s)

        self._asking[key] = asyncio.get_running_loop().create_future()
        if self._begin(name, question.kind, on_answer):
            return True
        del self._asking[key]
        return False

    async def resolve(self, question: Question) -> bytes | None:
        """The cluster's answer; None: it knows no such name, so ask the laptop's resolvers."""
        choice = self._policy.choose(question.labels)
        if choice.whole is not None:
            answer = await self._from_pod(question, choice.whole)
            if self._chained and message.rcode(answer) == message.NXDOMAIN:
                return None
            return answer
        if len(question.labels) > 1:
            own, other = await asyncio.gather(*map(self._there, self._places(choice)))
            choice = Choice(own=choice.own if own else None, other=choice.other if other else None)
        return await self._tried(question, choice)

    async def late(self, question: Question) -> bytes | None:
        """The laptop's resolvers do not know the name: does the cluster?  None: neither."""
        labels = self._stripped(question.labels)
        choice = self._policy.choose(question.labels if labels is None else labels)
        if choice.whole is not None:
            return None if self._is_loop(question) else await self._from_pod(question, choice.whole)
        return await self._tried(question, choice)

    async def _tried(self, question: Question, choice: Choice) -> bytes | None:
        for name in (choice.own, choice.other):
            if name is not None:
                answer = await self._from_pod(question, name)
                if message.rcode(answer) != message.NXDOMAIN:
                    return answer
        return None

    async def _from_pod(self, question: Question, name: Labels) -> bytes:
        """SERVFAIL when the pod cannot be asked, which is the truth about it."""
        found = await self._asked(name, question.kind)
        try:
            answer, lifetime_s = message.rename(question, name, found, flat=self._flat)
        except message.Malformed as exc:
            log.warning("%s: %s", b".".join(name).decode(errors="replace"), exc)
            return message.make_answer(question, message.SERVFAIL, [])
        exists = message.rcode(answer) == message.NOERROR
        if lifetime_s and (exists or self._policy.choose(question.labels).whole is not None):
            self._keep((question.labels, question.kind), answer, lifetime_s)
        return answer

    async def _asked(self, name: Labels, kind: int) -> bytes:
        """b"": nothing came, twice.  Whoever asks the same meanwhile waits for the one answer, so
        that no circle can grow; when its stream breaks, one of them asks again for all."""
        key, found = (name, kind), b""
        for _ in range(ATTEMPTS):
            under_way = self._asking.get(key)
            if under_way is not None:
                found = await asyncio.shield(under_way)
            else:
                found = await self._ask_for_all(key)
            if found:
                break
        return found

    async def _ask_for_all(self, key: tuple[Labels, int]) -> bytes:
        self._asking[key] = asyncio.get_running_loop().create_future()
        found = b""
        try:
            found = await self._ask(*key)
        except TunnelError as exc:
            log.warning("%s: %s", b".".join(key[0]).decode(errors="replace"), exc)
        finally:
            self._asking.pop(key).set_result(found)
        return found

    def _keep(self, key: tuple[Labels, int], answer: bytes, lifetime_s: int) -> None:
        while len(self._kept) >= REMEMBERED:
            del self._kept[next(iter(self._kept))]
        places, now_s = message.ttl_places(answer), self._clock()
        self._kept[key] = Kept(answer, places, now_s, now_s + lifetime_s)
