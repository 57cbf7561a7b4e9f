"""Decide everything before anything is changed: Options and Facts in, a Plan or a refusal out.

Called by: session.
Owns: every refusal that can be known beforehand.
Never: touches the machine, the cluster, a clock or chance (session and secret are handed in).
"""

from pathlib import Path

from telepresence import __version__
from telepresence.container_plan import decide
from telepresence.errors import ClusterError, MethodError, TelepresenceError, UsageError
from telepresence.exposed import exposed
from telepresence.place import SESSION_CHARS, find_place
from telepresence.program import NARROW, NEED_ICMP
from telepresence.rights import rules
from telepresence.values import (
    ContainerRun,
    Facts,
    Mounting,
    Options,
    Plan,
)


def image_name(options: Options, environ: dict[str, str]) -> str:
    return image_named(options.image, environ)


def image_named(image: str | None, environ: dict[str, str]) -> str:
    """--image, or the default behind Telepresence 1's two variables."""
    if image is not None:
        return image
    tag = environ.get("TELEPRESENCE_VERSION") or __version__
    registry = (environ.get("TELEPRESENCE_REGISTRY") or "").rstrip("/")
    return f"{registry}/telepresence-agent:{tag}".removeprefix("/")


def _refuse_missing_rights(facts: Facts) -> None:
    if not facts.denied:
        return
    missing = ", ".join(str(right) for right in facts.denied)
    raise ClusterError(
        f"you may not {missing} in namespace {facts.namespace} of context {facts.context}",
        hint=f"ask for a Role with these rules:\n{rules(facts.needed)}",
    )


def _program(options: Options, facts: Facts) -> str:
    if options.is_container:
        return facts.engine or options.docker
    if not options.command:
        return facts.shell
    if options.command[0] in NEED_ICMP:  # a substitute says why, whether or not there is a real one
        return options.command[0]
    if facts.program is None:
        raise TelepresenceError(
            f"{options.command[0]}: command not found",
            hint="give its path, or install it; nothing has been changed",
        )
    return facts.program


# Telepresence 1's advice, docs/inject-tcp.md.
_WAYS_AROUND = (
    "use another method (--method vpn-tcp), or link it dynamically; Go: build with gccgo, "
    "or set GODEBUG=netdns=cgo for its names alone"
)


def _engines(options: Options, facts: Facts) -> tuple[Path | None, Path | None, tuple[str, ...]]:
    """Shim, supervisor, and what the user should know about the choice.

    auto takes both: the shim is quicker, and what reaches the kernel in spite of it is the
    supervisor's.  No program is told apart beforehand, as a shell may start any other."""
    if options.method == "vpn-tcp":
        if not facts.may_root:
            raise MethodError(
                "vpn-tcp, the default method, changes firewall rules: you are not root and there "
                "is no sudo; run with -m inject-tcp, which needs neither"
            )
        return None, None, ()
    program = (options.command or (facts.shell,))[0]
    if options.method == "container":
        return None, None, ()
    if options.inject != "seccomp" and not facts.shim_exists:
        raise MethodError(f"the library {facts.shim} is missing", hint="install telepresence again")
    closed = "" if program in NEED_ICMP else facts.program_closed
    if closed == NARROW:
        raise MethodError(
            f"{program} is {NARROW}, whose connections neither the library nor the supervisor "
            "can carry",
            hint="use --method vpn-tcp, or a 64-bit build of it",
        )
    if options.inject == "seccomp" and facts.no_supervisor:
        raise MethodError(
            f"--inject=seccomp: {facts.no_supervisor}", hint="--inject=preload does without"
        )
    if options.inject == "seccomp":
        return None, facts.supervisor, ()
    if options.inject == "auto" and not facts.no_supervisor:
        return facts.shim, facts.supervisor, ()
    why = "--inject=preload" if options.inject == "preload" else facts.no_supervisor
    if closed:
        raise MethodError(
            f"{program} is {closed}, which a preloaded library cannot enter ({why})",
            hint=_WAYS_AROUND,
        )
    if options.inject == "preload":
        return facts.shim, None, ()
    note = (
        f"{why}: static, Go and setuid programs that {program} starts would use this machine's own "
        "network, not the pod's"
    )
    return facts.shim, None, (note,)


def _refuse_real_paths(options: Options, facts: Facts) -> None:
    if options.mount.mode == "none":
        raise UsageError(
            "--volumes-at-real-paths needs the volumes, which --mount leaves out",
            hint="leave one of the two away",
        )
    why = facts.no_namespace or (facts.no_fuse if options.mount.mode == "fuse" else "")
    if why:
        raise MethodError(
            f"volumes cannot be at their own paths: {why}",
            hint="without --volumes-at-real-paths they are under $TELEPRESENCE_ROOT where FUSE is; "
            "--mount copy needs no FUSE",
        )


def _copying(options: Options, facts: Facts, session: bytes) -> tuple[Mounting, tuple[str, ...]]:
    folder = facts.memory or Path(facts.environ.get("TMPDIR") or "/tmp")
    place = folder / f"telepresence-{session.hex()[:SESSION_CHARS]}-volumes"
    on_disk = (
        f"the volumes, secrets too, are copied to the disk, in {place}, and removed at the end"
    )
    mount = Mounting(mode="copy", path=place, inside=options.mount.inside, is_required=True)
    return mount, (on_disk,) if facts.memory is None else ()


def _mounting(options: Options, facts: Facts, session: bytes) -> tuple[Mounting, tuple[str, ...]]:
    """What is done about volumes, and what the user should know of it."""
    if options.method == "container":
        if options.volumes_at_real_paths:
            raise UsageError(
                "--volumes-at-real-paths is for commands of this machine, not for --docker-run",
                hint="leave it out",
            )
    elif options.mount.inside is not None:
        raise UsageError(
            "--docker-mount is for --docker-run",
            hint="--mount PATH is for commands of this machine",
        )
    if options.volumes_at_real_paths:
        _refuse_real_paths(options, facts)
    if options.mount.mode == "none":
        return options.mount, ()
    if options.mount.mode == "copy":
        return _copying(options, facts, session)
    if facts.no_mount:
        raise MethodError(f"cannot mount on {facts.no_mount}", hint="name another place")
    why = facts.no_fuse or (facts.no_sharing if options.method == "container" else "")
    if not why:
        return options.mount, ()
    if options.method == "container" and options.mount.path is None:
        note = f"{why}: so copies of what Kubernetes itself writes into volumes are shown"
        mount, notes = _copying(options, facts, session)
        return mount, (*notes, note)
    if options.mount.is_required:
        raise MethodError(
            f"volumes cannot be mounted: {why}",
            hint="--mount copy does without FUSE, --mount false without volumes; nothing has been "
            "changed",
        )
    note = f"no volumes: {why}; --mount copy does without, --mount false keeps silent"
    return Mounting(mode="none"), (note,)


def _refuse_files(options: Options, facts: Facts) -> None:
    for fault in facts.unwritable:
        raise UsageError(f"cannot write {fault}", hint="name another; nothing has been changed")
    if options.env_syntax is not None and options.env_file is None:
        raise UsageError("--env-syntax is for --env-file, which is not given", hint="name the file")


def _without_effect(options: Options, run: ContainerRun | None) -> tuple[str, ...]:
    """What was said in vain, with the reason."""
    if run is not None and run.left_out:
        keys = ", ".join(run.left_out)
        return (f"of service {run.service} this is left out, as its network is the pod's: {keys}",)
    if run is None and options.container_to_host:  # Telepresence 1's scripts have it everywhere
        return ("--container-to-host does nothing here: localhost is this machine's",)
    return ()


def _refuse_no_way(facts: Facts) -> None:
    if facts.kubectl is None and not facts.direct:
        raise MethodError(
            f"the API server {facts.server} is behind a proxy or without TLS, which takes kubectl "
            "or oc, and neither is in your $PATH",
            hint="install the one that your cluster's documentation names",
        )


def _refuse_ways(options: Options, facts: Facts) -> None:
    _refuse_no_way(facts)
    _refuse_files(options, facts)
    _refuse_missing_rights(facts)


def make_plan(options: Options, facts: Facts, *, session: bytes, secret: bytes) -> Plan:
    """ClusterError, MethodError or TelepresenceError for what cannot be done."""
    container_run = decide(options, facts)
    program = _program(options, facts)
    shim, supervisor, notes = _engines(options, facts)
    mount, mount_notes = _mounting(options, facts, session)
    _refuse_ways(options, facts)
    expose = exposed(options, facts.workload)
    place = find_place(options, facts, expose, session)
    return Plan(
        context=facts.context,
        namespace=facts.namespace,
        kubectl=facts.kubectl,
        pod_name=place.pod_name,
        container=place.container,
        image=image_name(options, facts.environ),
        image_pull_secrets=options.image_pull_secret,
        expose=expose,
        from_pod=options.from_pod,
        to_pod=options.to_pod,
        container_to_host=options.container_to_host,
        ready_when_listening=place.ready_when_listening,
        low_ports=place.low_ports,
        ready_timeout_s=options.ready_timeout_s,
        user=facts.user,
        since=facts.now,
        serviceaccount=options.serviceaccount,
        workload=place.swapped,
        existing=place.existing,
        session=session,
        secret=secret,
        method=options.method,
        shim=shim,
        supervisor=supervisor,
        notes=notes + mount_notes + _without_effect(options, container_run) + place.notes,
        program=program,
        argv=options.command or (program,),
        is_shell=not options.command and container_run is None,
        container_run=container_run,
        environ=facts.environ,
        mount=mount,
        volumes_at_real_paths=options.volumes_at_real_paths,
        env_include=options.env_include,
        env_exclude=options.env_exclude,
        env_json=options.env_json,
        env_file=options.env_file,
        env_syntax=options.env_syntax,
        also_proxy=options.also_proxy,
        never_proxy=options.never_proxy,
        is_near=options.is_near,
    )
