"""Decide everything before anything is changed: Options and Facts in, a Plan or a refusal out.

Called by: session.
Owns: every refusal that can be known beforehand.
Never: touches the machine, the cluster, a clock or chance (session and secret are handed in).
"""

from telepresence import __version__
from telepresence.errors import ClusterError, MethodError, TelepresenceError
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


def make_plan(options: Options, facts: Facts, *, session: bytes, secret: bytes) -> Plan:
    """ClusterError, MethodError or TelepresenceError for what cannot be done."""
    program = _program(options, facts)
    if facts.kubectl is None:
        raise MethodError(
            "found neither kubectl nor oc in your $PATH",
            hint="install the one that your cluster's documentation names",
        )
    if not facts.shim_exists:
        raise MethodError(f"the library {facts.shim} is missing", hint="install telepresence again")
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
        shim=facts.shim,
        program=program,
        argv=options.command or (program,),
        is_shell=not options.command,
        environ=facts.environ,
    )
