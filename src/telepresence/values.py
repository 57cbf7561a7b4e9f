"""The values that flow down a session, each made by one stage and read by the next.

    Options (cli) -> Facts (cluster) -> Plan (plan) -> Pod (cluster) -> Endpoints (tunnel)
      -> Environment (environ) -> Launch (method) -> ExitStatus (runner)

Called by: every room.
Owns: nothing.
Never: changes once made; touches the machine.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Ports of a user's container that its proxy has: for the carriers of the two tunnels to the laptop.
CONTAINERS_OWN = (41041, 41042)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A workload as the user names it: [KIND/]NAME[:CONTAINER]."""

    kind: str | None
    name: str
    container: str | None

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" if self.kind else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """How the pod's file system is to be seen on the laptop."""

    mode: str  # fuse, copy or none
    path: Path | None = None  # None: a temporary directory
    inside: Path | None = None  # where a container sees it; None: at the same path
    is_required: bool = False  # without it there shall be no session


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A line of proc(5)'s mountinfo."""

    path: bytes
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the pod that leads to one of the laptop."""

    laptop: int
    pod: int
    is_declared: bool = False  # by the container that is replaced, not asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRun:
    """The words after --docker-run, and which container each is for."""

    proxy_words: tuple[str, ...]  # options of the proxy container
    user_words: tuple[str, ...]  # options of the user's
    image: str
    command: tuple[str, ...]
    name: str | None = None
    is_detached: bool = False
    publishes_all: bool = False
    has_init: bool = False  # said one way or the other
    stop_timeout_s: int | None = None
    # Of a compose file: the words that are compose, the service, and what the generated file says.
    compose: tuple[str, ...] = ()
    service: str = ""
    project: dict[str, Any] | None = field(default=None, repr=False)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, checked for form alone."""

    method: str
    inject: str  # auto, preload or seccomp
    new_deployment: str | None  # None: a random name, unless a workload is swapped
    swap_deployment: Target | None
    deployment: Target | None
    serviceaccount: str | None
    expose: tuple[Port, ...]
    from_pod: tuple[int, ...]
    to_pod: tuple[int, ...]
    ready_when_listening: bool | None  # None: for a swap
    container_to_host: tuple[Port, ...]  # ports of the container that lead to the laptop's
    command: tuple[str, ...]  # empty: the user's shell
    context: str | None
    namespace: str | None
    image: str | None
    image_pull_secret: tuple[str, ...]
    logfile: str
    verbose: bool
    docker_run: tuple[str, ...] | None = None  # the words after it
    docker: str = "docker"  # the engine's client
    compose_service: str | None = None
    docker_compose: tuple[str, ...] | None = None  # the words after it
    mount: Mounting = Mounting(mode="none")
    volumes_at_real_paths: bool = False
    env_include: tuple[str, ...] = ()  # patterns of names
    env_exclude: tuple[str, ...] = ()
    env_json: str | None = None
    env_file: str | None = None
    env_syntax: str | None = None  # None: by the suffix of env_file
    ready_timeout_s: float = 120.0  # for the pod
    also_proxy: tuple[str, ...] = ()  # ranges, and names of hosts
    never_proxy: tuple[str, ...] = ()  # ranges
    is_near: bool = False  # the cluster is on this machine, whatever it looks like

    @property
    def is_container(self) -> bool:
        return self.docker_run is not None or self.docker_compose is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command that is no session."""

    name: str  # "status", "restore", "doctor"
    context: str | None
    namespace: str | None
    all: bool = False  # namespaces
    method: str | None = None  # doctor: of this method alone
    image: str | None = None  # doctor


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One thing that the user must be allowed to do in the namespace."""

    verb: str
    resource: str  # "pods", "pods/log"
    group: str = ""  # of the API; "" is the core's

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What keeps pods running: a Deployment and its like, as it was when it was looked at."""

    kind: str
    name: str
    path: str  # of the object in the API
    plural: str
    group: str
    uid: str
    version: str  # resourceVersion
    replicas: int
    selector: str  # of its pods, as a query has it
    template: dict[str, Any] = field(repr=False)  # of its pods; its env may hold secrets
    hints: tuple[str, ...] = ()  # what will interfere, in words for the user

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the laptop and the cluster look like before anything is changed."""

    context: str
    namespace: str
    server: str
    needed: tuple[Right, ...]
    denied: tuple[Right, ...]
    kubectl: str | None  # path of kubectl or oc
    direct: bool  # this laptop may open connections of its own to the API server
    program: str | None  # path of the command, None: not found
    shell: str
    shim: Path
    shim_exists: bool
    supervisor: Path
    no_supervisor: str = ""  # why the seccomp engine cannot work here; "" when it can
    program_closed: str = ""  # why the shim cannot enter the command: "a static program"
    environ: dict[str, str] = field(repr=False)
    may_root: bool = True  # this user is root, or there is sudo
    no_fuse: str = ""  # why nothing can be mounted; "" when it can
    no_sharing: str = ""  # why an engine could not see what is mounted; "" when it can
    no_namespace: str = ""  # why volumes cannot be at their own paths, if that was asked for
    no_mount: str = ""  # what is wrong with the place that was asked for
    memory: Path | None = None  # a directory for files that are on no disk
    unwritable: tuple[str, ...] = ()  # files that were asked for, each with the reason
    user: str = ""  # name@host, told to others who want the same workload
    engine: str | None = None  # path of the client of the container engine
    compose: tuple[str, ...] = ()  # the words that are compose
    compose_config: dict[str, Any] | None = field(default=None, repr=False)  # as it resolves it
    no_compose: str = ""  # its message, if it does not
    engine_host: str = ""  # where the engine is, if not on this machine
    now: str = ""  # RFC 3339
    workload: Workload | None = None  # the one that is to be swapped, or whose pod is used
    pods: tuple[str, ...] = ()  # of that, when one is to be used; the best first
    server_version: tuple[int, int] = (0, 0)  # looked up when a port below 1024 is exposed
    is_openshift: bool = False  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Networks of the cluster, and addresses of its API server, which are never redirected."""

    pods: tuple[str, ...]
    services: tuple[str, ...]
    servers: tuple[str, ...]
    nodes: tuple[str, ...] = ()  # addresses, where they may be known


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that will be done; nothing of it is done yet."""

    context: str
    namespace: str
    kubectl: str | None  # None: the tunnel goes to the API server directly
    pod_name: str
    image: str
    image_pull_secrets: tuple[str, ...] = ()  # beside the workload's own
    session: bytes
    secret: bytes = field(repr=False)
    method: str
    shim: Path | None  # None: nothing is preloaded
    supervisor: Path | None = None  # None: no system call is answered for the program
    notes: tuple[str, ...] = ()  # what the user should hear before the start
    program: str  # path
    argv: tuple[str, ...]
    is_shell: bool
    environ: dict[str, str] = field(repr=False)
    resume_timeout_s: float = 60.0
    ready_timeout_s: float = 120.0
    mount: Mounting = Mounting(mode="none")
    volumes_at_real_paths: bool = False
    env_include: tuple[str, ...] = ()
    env_exclude: tuple[str, ...] = ()
    env_json: str | None = None
    env_file: str | None = None
    env_syntax: str | None = None
    container: str = "telepresence"  # the agent's, within the pod
    expose: tuple[Port, ...] = ()
    from_pod: tuple[int, ...] = ()
    to_pod: tuple[int, ...] = ()
    container_to_host: tuple[Port, ...] = ()
    ready_when_listening: bool = False
    low_ports: str = ""  # how the pod may listen below 1024: "sysctl", "root"; "" if it need not
    container_run: ContainerRun | None = None  # method container
    user: str = ""
    since: str = ""  # RFC 3339, by the laptop's clock
    serviceaccount: str | None = None
    workload: Workload | None = None  # is scaled to 0 while its copy, the pod, stands in for it
    existing: Workload | None = None  # the pod is its own, runs the agent and is left as it is
    also_proxy: tuple[str, ...] = ()  # ranges, and names that the pod resolves
    never_proxy: tuple[str, ...] = ()  # ranges
    is_near: bool = False  # --local-cluster

    @property
    def also_networks(self) -> tuple[str, ...]:
        return tuple(word for word in self.also_proxy if "/" in word)

    @property
    def also_hosts(self) -> tuple[str, ...]:
        return tuple(word for word in self.also_proxy if "/" not in word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """The proxy pod, running."""

    name: str
    namespace: str
    container: str
    projections: tuple[bytes, ...] = ()  # where it has volumes that kubelet writes itself
    other_volumes: tuple[bytes, ...] = ()
    mounts: tuple[MountPoint, ...] = ()  # the root and all volumes, by its specification


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAccess:
    """How to open a connection of one's own to the API server; the files are PEM."""

    host: str
    port: int
    prefix: str  # of every path, "" for most servers
    server_name: str  # what its certificate must name
    ca_file: str | None  # None: what the system believes
    cert_file: str | None
    key_file: str | None
    verify: bool
    headers: dict[str, str] = field(repr=False)  # the user's credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchList:
    """How the container completes names: resolv.conf(5), `search` and `ndots`."""

    domains: tuple[str, ...] = ()
    ndots: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the agent tells of its container: its environment, as bytes, mounts and names."""

    environ: dict[bytes, bytes] = field(repr=False)
    mounts: tuple[MountPoint, ...] = ()
    resolv_conf: str = ""
    hosts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables that are taken from the pod, all that a process on the laptop gets, and how the
    pod completes names."""

    pod: dict[bytes, bytes] = field(repr=False)
    process: dict[bytes, bytes] = field(repr=False)
    search: SearchList = SearchList()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The user's process, ready to be started."""

    program: str
    argv: tuple[str, ...]
    environ: dict[bytes, bytes] = field(repr=False)
    pass_fds: tuple[int, ...] = ()  # open in the process, by the same numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """What telepresence exits with."""

    code: int
