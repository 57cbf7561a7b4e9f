"""Decide what the method container does: Options and Facts in, an engine's words out.

Called by: plan.
Owns: the refusals that only containers have.
Never: asks the engine; cluster/observe.py has asked it.
"""

from telepresence.errors import MethodError, UsageError
from telepresence.method.container import compose
from telepresence.method.container.run_words import divide
from telepresence.values import CONTAINERS_OWN, ContainerRun, Facts, Options


def _refuse_containers_ports(options: Options) -> None:
    """What listens in the container: its own programs, for the pod; and we, for two others."""
    theirs = [port.laptop for port in options.expose] + list(options.from_pod)
    ours = [port.pod for port in options.container_to_host]
    for number in ours:
        if ours.count(number) > 1 or number in theirs or number in options.to_pod:
            raise UsageError(
                f"--container-to-host {number}: the container's port {number} is given twice",
                hint="--container-to-host PORT:HOST_PORT takes another port of the container",
            )
    for number in (*theirs, *ours, *options.to_pod):
        if number in CONTAINERS_OWN:
            raise UsageError(
                f"port {number} of the container is the proxy's own",
                hint=f"those are {', '.join(map(str, CONTAINERS_OWN))}",
            )


def _word(options: Options) -> str:
    return "--docker-run" if options.docker_compose is None else "--docker-compose"


def _divided(options: Options, facts: Facts) -> ContainerRun | None:
    """None: the engine's client is not there to say how compose resolves its files."""
    if options.docker_run is not None:
        return divide(options.docker_run)
    assert options.docker_compose is not None
    assert options.compose_service is not None
    if facts.engine is None:
        return None
    if not facts.compose:
        raise MethodError(
            f"{options.docker} has no compose, and docker-compose is not there",
            hint="Debian: apt-get install docker-compose",
        )
    if facts.compose_config is None:
        raise UsageError(f"docker compose: {facts.no_compose}", hint="-f names the file")
    return compose.divide(
        facts.compose, options.docker_compose, facts.compose_config, options.compose_service
    )


def decide(options: Options, facts: Facts) -> ContainerRun | None:
    """What the container is to be; None for the other methods.  UsageError, MethodError."""
    if not options.is_container:
        if options.method == "container":
            raise UsageError(
                "--method container runs a container, and no --docker-run says which",
                hint="--docker-run [OPTIONS] IMAGE [COMMAND], as for docker run",
            )
        return None
    if options.method != "container":
        raise UsageError(
            f"{_word(options)} needs --method container, not {options.method}",
            hint="leave out --method, or use --run",
        )
    run = _divided(options, facts)
    _refuse_containers_ports(options)
    if facts.engine is None:
        raise MethodError(
            f"{options.docker}: command not found",
            hint="install docker or podman; --docker names another program",
        )
    if facts.engine_host:
        raise MethodError(
            f"the container engine is on another machine ({facts.engine_host}), whose published "
            "ports are not this machine's",
            hint="use an engine here: unset DOCKER_HOST, or docker context use default",
        )
    return run
