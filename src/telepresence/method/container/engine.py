"""What is said to a container engine: docker, podman and nerdctl have the same words, nearly.

Called by: method/container/whole.py.
Owns: nothing; it only makes argv.
Never: runs the engine.
"""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.values import CONTAINERS_OWN, ContainerRun, Plan, Port

# Inside the proxy container, in the user's way as little as may be: values.CONTAINERS_OWN.
CARRIER_PORT, BACK_PORT = CONTAINERS_OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a port of a container can be reached."""

    host: str
    port: int
    source: str = ""  # an address that this machine must have, or the place is another's


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """Which program, and the names of the session's two containers."""

    program: str
    proxy: str
    user: str

    @property
    def is_podman(self) -> bool:
        return Path(self.program).name.startswith("podman")

    def run_proxy(
        self, plan: Plan, run: ContainerRun, exposed: tuple[str, ...], secret: bytes
    ) -> list[str]:
        """In the foreground: it says on its standard output how far it is."""
        return [
            self.program, "run", "--rm", "--interactive", f"--name={self.proxy}",
            f"--hostname={plan.pod_name}",
            "--user=0", "--cap-drop=ALL", "--cap-add=NET_ADMIN",
            "--security-opt=no-new-privileges",
            "--sysctl=net.ipv6.conf.lo.disable_ipv6=0",  # Docker turns it off; a pod has it
            f"--label=telepresence={plan.session.hex()}",
            "--sysctl=net.ipv4.ip_unprivileged_port_start=0",  # Docker does so by itself
            # What the container connects to is the gateway, beside it: BBR's pace would be waiting.
            "--sysctl=net.ipv4.tcp_congestion_control=reno",
            f"--publish=127.0.0.1::{CARRIER_PORT}/tcp",
            *((f"--publish=127.0.0.1::{BACK_PORT}/tcp",) if plan.container_to_host else ()),
            *run.proxy_words,
            *(f"--expose={port}" for port in exposed),
            plan.image,
            "gateway",
            f"--session={plan.session.hex()}",
            f"--secret-sha256={hashlib.sha256(secret).hexdigest()}",
            f"--carrier-port={CARRIER_PORT}",
            *_gateways_ports(plan),
        ]  # fmt: skip

    def run_user(
        self, plan: Plan, run: ContainerRun, env_file: Path, named: list[str], root: Path | None
    ) -> tuple[str, ...]:
        """`named`: variables whose values the engine's client finds in its own environment.
        `root`: the pod's file system on this machine."""
        target = plan.mount.inside or root
        podmans = ("--http-proxy=false", f"--hostname={plan.pod_name}")
        return (
            self.program, "run",
            *(("--detach",) if run.is_detached else ("--rm",)),
            f"--network=container:{self.proxy}",
            f"--label=telepresence={plan.session.hex()}",
            f"--env-file={env_file}",
            *(f"--env={name}" for name in named),
            *(() if root is None else (_bind(root, target),)),
            *(podmans if self.is_podman else ()),
            *(() if run.has_init else ("--init",)),
            *(() if run.name else (f"--name={self.user}",)),
            *run.user_words,
            run.image,
            *run.command,
        )  # fmt: skip

    def run_service(self, run: ContainerRun, file: Path, *, is_terminal: bool) -> tuple[str, ...]:
        """`file` stands for all that the user's `-f` named; the rest of the words stay."""
        return (
            *run.compose, f"--file={file}", "run", "--rm", "--no-deps", f"--name={self.user}",
            *(() if is_terminal else ("-T",)),
            run.service,
        )  # fmt: skip

    def networks(self) -> list[str]:
        """What take_places() reads."""
        shown = "--format={{json .NetworkSettings}}"
        return [self.program, "container", "inspect", shown, self.proxy]

    def wait(self) -> tuple[str, ...]:
        """A command that ends with the exit code of the user's container."""
        return ("/bin/sh", "-c", 'exit "$("$@")"', "sh", self.program, "wait", self.user)

    def stop(self, grace_s: int) -> list[str]:
        return [self.program, "stop", f"--time={grace_s}", self.user]

    def remove(self, *names: str) -> list[str]:
        return [self.program, "rm", "--force", "--volumes", *names]

    def pull(self, image: str) -> list[str]:
        return [self.program, "pull", "--quiet", image]

    def exposed_ports(self, image: str) -> list[str]:
        return [self.program, "image", "inspect", "--format={{json .Config.ExposedPorts}}", image]


def _bind(source: Path, target: Path | None) -> str:
    """Option --mount, whose value is a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        ["type=bind", f"source={source}", f"target={target}"]
    )
    return f"--mount={line.getvalue()}"


def _gateways_ports(plan: Plan) -> list[str]:
    """Which ports are to lead where, as gateway.__main__ has them."""

    def exposed(port: Port) -> str:
        word = "--declared" if port.is_declared else "--expose"
        return f"{word}={port.pod}:{port.laptop}"

    return [
        *map(exposed, plan.expose),
        *(f"--from-pod={number}" for number in plan.from_pod),
        *(f"--to-pod={number}" for number in plan.to_pod),
        *(("--ready-when-listening",) if plan.ready_when_listening else ()),
        *((f"--back-port={BACK_PORT}",) if plan.container_to_host else ()),
        *(f"--container-to-host={port.pod}" for port in plan.container_to_host),
    ]


def take_places(said: str, number: int) -> tuple[Place, ...]:
    """Where a port of the proxy container is, the best first: at its own address, if the bridge is
    this machine's; and published, which the engine's own proxy copies from.  MethodError: nowhere.
    """
    try:
        settings = json.loads(said)
        published = int(settings["Ports"][f"{number}/tcp"][0]["HostPort"])
        nets = (settings.get("Networks") or {}).values()
        direct = [Place(host=net["IPAddress"], port=number, source=net["Gateway"])
                  for net in nets if net.get("IPAddress") and net.get("Gateway")]  # fmt: skip
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise MethodError(
            f"the engine does not say where port {number} of the proxy container is: {exc!r}",
            hint="docker container inspect shows it, when an engine publishes ports",
        ) from exc
    return (*direct, Place(host="127.0.0.1", port=published))
