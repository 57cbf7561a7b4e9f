"""Put vpn-tcp together: rules, listeners and names, in the order in which nothing is lost.

Called by: session.
Owns: the process with privileges, the listeners and the claim on the ranges, until it is left.
Never: needs a privilege itself; lets the API server's own address be redirected.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

from telepresence.console import Console
from telepresence.errors import MethodError, TunnelError
from telepresence.fastpath import Engine, Tunnel
from telepresence.method.substitutes import put_substitutes
from telepresence.method.vpn import message, probe, routes
from telepresence.method.vpn.claims import claim
from telepresence.method.vpn.doors import open_doors
from telepresence.method.vpn.firewall import PF, Firewall, Network, Rules, choose
from telepresence.method.vpn.message import Labels, split_name
from telepresence.method.vpn.names import Address, Policy, take_pod_names
from telepresence.method.vpn.nameservers import observe_nameservers
from telepresence.method.vpn.nsswitch import hosts_line, swallower
from telepresence.method.vpn.podlookup import PodLookup
from telepresence.method.vpn.resolver import Resolver
from telepresence.method.vpn.server import NameServer
from telepresence.nearby import why_near
from telepresence.values import Endpoints, Environment, Launch, Plan, Ranges

log = logging.getLogger(__name__)

AGAIN_S = (5, 300)  # a name of --also-proxy is looked up again after its TTL, within these


Prepare = Callable[
    [Plan, Environment, Engine, Tunnel], AbstractAsyncContextManager[Launch, bool | None]
]


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


class Vpn:
    """async with Vpn(plan, ranges, console) as vpn: async with vpn.prepare(...) as launch: ...

    Entering it asks for the privilege and claims the ranges, before anything is changed anywhere.
    """

    def __init__(self, plan: Plan, ranges: Coroutine[Any, Any, Ranges], console: Console) -> None:
        self._plan = plan
        self._console = console
        method = choose(plan.environ)
        self._firewall = Firewall(method)
        self._with_ports = method == PF
        self.failed = self._firewall.failed
        self._ranges = asyncio.ensure_future(ranges)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Vpn":
        """MethodError: no privilege, or another session has a part of the ranges."""
        try:
            await self._stack.enter_async_context(self._firewall)
            found = await self._ranges
            never = networks(self._plan.never_proxy)
            wanted = networks((*found.pods, *found.services, *self._plan.also_networks))
            # Of two rules the narrower one decides, so what lies in a wider `never` has none.
            self._included = routes.outside(wanted, never)
            devices = await routes.observe_routes()
            self._near = why_near(
                self._plan.context, found.servers, found.nodes,
                device=lambda address: routes.device_of(address, devices),
            )  # fmt: skip
            self._excluded = (*never, *networks(found.servers))
            held = routes.without(self._included, never)
            claimed = claim(self._plan.pod_name, held, with_ports=self._with_ports)
            self._held = self._stack.enter_context(claimed)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._ranges.cancel()
        await asyncio.wait([self._ranges])
        await self._stack.__aexit__(*error)

    def prepare_for(self, ends: Endpoints) -> Prepare:
        """prepare() as the other methods have it, once it is known what the pod knows of names."""
        return functools.partial(self.prepare, ends)

    @contextlib.asynccontextmanager
    async def prepare(
        self, ends: Endpoints, plan: Plan, environment: Environment, engine: Engine, tunnel: Tunnel
    ) -> AsyncIterator[Launch]:
        """The whole machine is in the cluster until the context ends."""
        async with AsyncExitStack() as stack:
            names = take_pod_names(ends.resolv_conf, ends.hosts, plan.namespace)
            included, held = self._included, self._held
            excluded = await self._keep_out()
            lookup = PodLookup(tunnel, names.nameservers)
            stack.callback(lookup.close)
            hosts = {split_name(host) for host in plan.also_hosts}
            policy = Policy(pod=names, ranges=included, also=frozenset(hosts))
            resolver = Resolver(
                policy, lookup.ask, chained=len(held.bypass) > 1,
                near=self._is_near(), begin=lookup.begin,
                flat=swallower(hosts_line(), b".".join(names.domain).decode()) is not None,
            )  # fmt: skip
            servers = [
                await stack.enter_async_context(NameServer(resolver, address, held.mark))
                for address in observe_nameservers()
            ]
            also = {host: await self._addresses(lookup, host) for host in sorted(hosts)}
            included += tuple(n for _, found in also.values() for n in found)
            rules = self._redirect(
                engine, tunnel, stack, included, excluded,
                tuple((server.address, server.port) for server in servers), held.bypass,
            )  # fmt: skip
            # Undone first: the rules go before the listeners that they lead to.
            stack.push_async_exit(self._firewall)
            await self._firewall.start(rules)
            for missing in self._firewall.without:
                self._console.say(f"this machine lacks what it takes for {missing}")
            for host, (ttl_s, known) in also.items():
                self._follow(stack, lookup, host, ttl_s, set(known))
            await probe.wait_ready(resolver, names, self._console)
            launch = Launch(program=plan.program, argv=plan.argv, environ=environment.process)
            directory = Path(tempfile.mkdtemp(prefix="telepresence-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            yield put_substitutes(launch, directory / "bin", plan.method)

    def _is_near(self) -> bool:
        why = "--local-cluster" if self._plan.is_near else self._near
        if why:
            log.info("the cluster is on this machine: %s", why)
        return bool(why)

    async def _keep_out(self) -> tuple[Network, ...]:
        """What stays the laptop's, and a word to the user about each that may surprise."""
        excluded = list(self._excluded)
        own = await routes.observe_routes()
        # The networks of a cluster on this machine are no surprise.
        say = self._console.hint if self._near or self._plan.is_near else self._console.say
        for route, device in routes.inside(self._included, own).items():
            say(f"{route} stays the laptop's own network ({device})")
            excluded.append(route)
        for narrow, (route, device) in routes.around(self._included, own).items():
            say(
                f"{narrow} is the cluster's while this session lasts, though the laptop has a "
                f"route to {route} ({device}); --never-proxy keeps a part of it"
            )
        return tuple(excluded)

    def _redirect(
        self,
        engine: Engine,
        tunnel: Tunnel,
        stack: AsyncExitStack,
        included: tuple[Network, ...],
        excluded: tuple[Network, ...],
        names: tuple[tuple[Address, int], ...],
        bypass: tuple[int, ...],
    ) -> Rules:
        """Listeners for the families that are there."""
        versions = {each.version for each in (*included, *(address for address, _ in names))}
        ports = open_doors(engine, tunnel, stack.callback, self._firewall.sockets, versions)
        return Rules(
            included=tuple(n for n in included if ports[n.version]),
            excluded=tuple(n for n in excluded if ports[n.version]),
            port4=ports[4],
            port6=ports[6],
            names=names,
            bypass=bypass,
        )

    async def _addresses(self, lookup: PodLookup, host: Labels) -> tuple[int, list[Network]]:
        """TTL and addresses of a name, as the pod has them.  MethodError: it has none."""
        text = b".".join(host).decode()
        ttl_s, found = AGAIN_S[1], []
        try:
            for kind in (message.A, message.AAAA):
                records, _, _ = message.take_records(await lookup.ask(host, kind))
                for record in records:
                    if record.kind == kind:
                        ttl_s = min(ttl_s, record.ttl_s)
                        found.append(ipaddress.ip_network(record.data))
        except (TunnelError, message.Malformed) as exc:
            raise MethodError(f"--also-proxy {text}: the pod cannot resolve it: {exc}") from exc
        if not found:
            raise MethodError(
                f"--also-proxy {text}: the pod knows no address of that name",
                hint="is it spelled right?  A name of the laptop's network is not the pod's.",
            )
        return max(ttl_s, AGAIN_S[0]), found

    def _follow(
        self,
        stack: AsyncExitStack,
        lookup: PodLookup,
        host: Labels,
        ttl_s: int,
        known: set[Network],
    ) -> None:
        async def follow() -> None:
            wait_s = ttl_s
            while True:
                await asyncio.sleep(wait_s)
                try:
                    wait_s, found = await self._addresses(lookup, host)
                except MethodError as exc:
                    log.warning("%s", exc)
                    continue
                new = set(found) - known
                if new:
                    log.info("%s is now also at %s", host, new)
                    self._firewall.add(sorted(new, key=str))
                    known.update(new)

        task = asyncio.ensure_future(follow())
        stack.callback(task.cancel)
