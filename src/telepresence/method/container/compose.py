"""One service of a compose file as the user's container: what compose resolved in, a file out.

Called by: cli (take_words), plan (divide), method/container/whole.py (make_file).
Owns: which keys of a service belong to its network, and so to the proxy container.
Never: runs compose; reads the user's file, which compose resolves itself (`config`).

Source: the Compose specification, "Services top-level element".
"""

import json
import re
from pathlib import Path
from typing import Any

from telepresence.errors import UsageError
from telepresence.values import ContainerRun

Json = dict[str, Any]
_WITH_VALUE = ("-f", "--file", "-p", "--project-name", "--profile", "--env-file",
               "--project-directory")  # fmt: skip
_SWITCHES = ("--compatibility",)
# Of a network that it does not have, or of a life that is the session's.
_LEFT_OUT = (
    "container_name", "depends_on", "dns", "dns_opt", "dns_search", "domainname", "expose",
    "external_links", "extra_hosts", "hostname", "ipc", "links", "mac_address", "network_mode",
    "networks", "ports", "profiles", "restart", "scale", "uts",
)  # fmt: skip
# Left out without a word, as the session has its own way to the same end, or has no use for it.
_SILENTLY = ("container_name", "expose", "ports", "profiles", "restart", "scale")
_TOP = ("volumes", "secrets", "configs")


def take_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same words.  UsageError: some are no options of compose for finding its files."""
    following = list(words)
    while following:
        word = following.pop(0)
        name, equals, _ = word.partition("=")
        if word in _SWITCHES or (name in _WITH_VALUE and equals):
            continue
        if word not in _WITH_VALUE or not following:
            raise UsageError(
                f"--docker-compose: {word!r} " + ("needs a value" if word in _WITH_VALUE else
                                                  "is no option that says which file"),
                hint=f"it takes {', '.join((*_WITH_VALUE, *_SWITCHES))}",
            )  # fmt: skip
        following.pop(0)
    return words


def _project_words(words: tuple[str, ...]) -> list[str]:
    """Without the files, but with their directory, which gives the project its name."""
    following, kept, folder = list(words), [], ""
    while following:
        name, equals, value = following.pop(0).partition("=")
        if name in _SWITCHES:
            kept.append(name)
            continue
        value = value if equals else following.pop(0)
        if name in ("-f", "--file"):
            folder = folder or str(Path(value).parent)
        else:
            kept.append(f"{name}={value}" if name.startswith("--") else f"{name}{value}")
    has_folder = any(word.startswith("--project-directory=") for word in kept)
    return kept if has_folder else [*kept, f"--project-directory={folder or '.'}"]


def _publish(port: object) -> str:
    if not isinstance(port, dict):
        return f"--publish={port}"
    ends = [str(port[key]) for key in ("host_ip", "published", "target") if port.get(key)]
    return f"--publish={':'.join(ends)}/{port.get('protocol') or 'tcp'}"


def _sysctls(service: Json) -> dict[str, str]:
    said = service.get("sysctls") or {}
    if isinstance(said, list):
        said = dict(line.partition("=")[::2] for line in said)
    return {str(key): str(value) for key, value in said.items()}


def _seconds(text: str | None) -> int | None:
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text or "")
    return None if match is None or not text else 60 * int(match[1] or 0) + int(match[2] or 0)


def divide(program: tuple[str, ...], words: tuple[str, ...], config: Json, name: str
           ) -> ContainerRun:  # fmt: skip
    """UsageError: there is no such service, or it is bound to others."""
    services: Json = config.get("services") or {}
    if name not in services:
        raise UsageError(
            f"the compose file has no service {name}", hint=f"it has: {', '.join(sorted(services))}"
        )
    service = dict(services[name])
    sysctls = _sysctls(service)
    nets = {key: value for key, value in sysctls.items() if key.startswith("net.")}
    service["sysctls"] = {key: value for key, value in sysctls.items() if key not in nets}
    left_out = sorted({key for key in _LEFT_OUT if service.pop(key, None)} - {*_SILENTLY})
    if not service["sysctls"]:
        del service["sysctls"]
    project = {key: config[key] for key in ("version", *_TOP) if config.get(key)}
    return ContainerRun(
        proxy_words=(
            *map(_publish, services[name].get("ports") or ()),
            *(f"--expose={port}" for port in services[name].get("expose") or ()),
            *(f"--sysctl={key}={value}" for key, value in nets.items()),
        ),
        user_words=(),
        image=str(service.get("image", "")),
        command=(),
        stop_timeout_s=_seconds(service.get("stop_grace_period")),
        compose=(*program, *_project_words(words)),
        service=name,
        project={**project, "services": {name: service}},
        left_out=tuple(left_out),
    )


def _escaped(value: str) -> str:
    return value.replace("$", "$$")


def _environment(service: Json, pods: dict[str, str], laptops: dict[str, str]) -> Json:
    """The service's are stronger; one without a value is the laptop's, if that has it."""
    said = service.get("environment") or {}
    if isinstance(said, list):
        said = {key: value if equals else None
                for key, equals, value in (line.partition("=") for line in said)}  # fmt: skip
    own = {key: value for key, value in said.items() if value is not None or key in laptops}
    return {key: _escaped(value) for key, value in pods.items()} | own


def make_file(
    run: ContainerRun, proxy: str, label: str, pods: dict[str, str], laptops: dict[str, str],
    volume: tuple[Path, Path] | None,
) -> bytes:  # fmt: skip
    """The whole of what compose is to know, which as JSON is YAML.  `pods`: its variables.
    `volume`: the pod's files here, and where the container has them."""
    assert run.project is not None
    service: Json = dict(run.project["services"][run.service])
    service["network_mode"] = f"container:{proxy}"
    service["environment"] = _environment(service, pods, laptops)
    service.setdefault("init", True)
    labels = service.get("labels") or {}
    mark = {"telepresence": label}
    service["labels"] = (
        [*labels, f"telepresence={label}"] if isinstance(labels, list) else {**labels, **mark}
    )
    if volume is not None:
        source, target = map(str, volume)
        bind = {"type": "bind", "source": _escaped(source), "target": _escaped(target)}
        service["volumes"] = [*(service.get("volumes") or ()), bind]
    return json.dumps({**run.project, "services": {run.service: service}}).encode()
