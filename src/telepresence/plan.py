"""Decide everything before anything is changed: Options and Facts in, a Plan or a refusal out.

Called by: session.
Owns: every refusal that can be known beforehand.
Never: touches the machine, the cluster, a clock or chance (session and secret are handed in).
"""

from pathlib import Path

from telepresence import __version__
from telepresence.errors import ClusterError, MethodError, TelepresenceError, UsageError
from telepresence.values import Facts, Options, Plan, Right

RIGHTS = (
    Right(verb="create", resource="pods"),
    Right(verb="get", resource="pods"),
    Right(verb="list", resource="pods"),
    Right(verb="watch", resource="pods"),
    Right(verb="delete", resource="pods"),
    Right(verb="get", resource="pods/log"),
    Right(verb="create", resource="pods/portforward"),
)


def image_name(options: Options, environ: dict[str, str]) -> str:
    """--image, or the default behind Telepresence 1's two variables."""
    if options.image is not None:
        return options.image
    tag = environ.get("TELEPRESENCE_VERSION") or __version__
    registry = (environ.get("TELEPRESENCE_REGISTRY") or "").rstrip("/")
    return f"{registry}/telepresence-agent:{tag}".removeprefix("/")


def _refuse_missing_rights(facts: Facts) -> None:
    if not facts.denied:
        return
    missing = ", ".join(str(right) for right in facts.denied)
    rules: dict[str, list[str]] = {}
    for right in RIGHTS:
        rules.setdefault(right.resource, []).append(right.verb)
    role = "\n".join(
        f'  - {{apiGroups: [""], resources: ["{resource}"], verbs: {verbs}}}'.replace("'", '"')
        for resource, verbs in rules.items()
    )
    raise ClusterError(
        f"you may not {missing} in namespace {facts.namespace} of context {facts.context}",
        hint=f"ask for a Role with these rules:\n{role}",
    )


def _program(options: Options, facts: Facts) -> str:
    if not options.command:
        return facts.shell
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
    program = (options.command or (facts.shell,))[0]
    if options.inject != "seccomp" and not facts.shim_exists:
        raise MethodError(f"the library {facts.shim} is missing", hint="install telepresence again")
    if options.inject == "seccomp" and facts.no_supervisor:
        raise MethodError(
            f"--inject=seccomp: {facts.no_supervisor}", hint="--inject=preload does without"
        )
    if options.inject == "seccomp":
        return None, facts.supervisor, ()
    if options.inject == "auto" and not facts.no_supervisor:
        return facts.shim, facts.supervisor, ()
    why = "--inject=preload" if options.inject == "preload" else facts.no_supervisor
    if facts.program_closed:
        raise MethodError(
            f"{program} is {facts.program_closed}, which a preloaded library cannot enter ({why})",
            hint=_WAYS_AROUND,
        )
    if options.inject == "preload":
        return facts.shim, None, ()
    note = (
        f"{why}: static, Go and setuid programs that {program} starts would use this machine's own "
        "network, not the pod's"
    )
    return facts.shim, None, (note,)


def _refuse_files(options: Options, facts: Facts) -> None:
    for fault in facts.unwritable:
        raise UsageError(f"cannot write {fault}", hint="name another; nothing has been changed")
    if options.env_syntax is not None and options.env_file is None:
        raise UsageError("--env-syntax is for --env-file, which is not given", hint="name the file")


def make_plan(options: Options, facts: Facts, *, session: bytes, secret: bytes) -> Plan:
    """ClusterError, MethodError or TelepresenceError for what cannot be done."""
    program = _program(options, facts)
    if facts.kubectl is None and not facts.direct:
        raise MethodError(
            f"the API server {facts.server} is behind a proxy or without TLS, which takes kubectl "
            "or oc, and neither is in your $PATH",
            hint="install the one that your cluster's documentation names",
        )
    shim, supervisor, notes = _engines(options, facts)
    _refuse_files(options, facts)
    _refuse_missing_rights(facts)
    return Plan(
        context=facts.context,
        namespace=facts.namespace,
        kubectl=facts.kubectl,
        pod_name=options.new_deployment or f"telepresence-{session.hex()[:12]}",
        image=image_name(options, facts.environ),
        session=session,
        secret=secret,
        method=options.method,
        shim=shim,
        supervisor=supervisor,
        notes=notes,
        program=program,
        argv=options.command or (program,),
        is_shell=not options.command,
        environ=facts.environ,
        env_include=options.env_include,
        env_exclude=options.env_exclude,
        env_json=options.env_json,
        env_file=options.env_file,
        env_syntax=options.env_syntax,
    )
