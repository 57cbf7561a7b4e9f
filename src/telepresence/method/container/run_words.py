"""The words after --docker-run: which are options, which the image, which the container's own.

Called by: plan.
Owns: the knowledge of which options of `docker run` take a value, of docker, podman and nerdctl.
Never: asks the engine; looks at a word behind the image.

Sources: docker run --help (20.10 to 28), podman-run(1), nerdctl run --help; the syntax is pflag's.
"""

from dataclasses import dataclass

from telepresence.errors import UsageError
from telepresence.values import ContainerRun

SHORT = {
    "a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname",
    "i": "interactive", "l": "label", "m": "memory", "p": "publish", "P": "publish-all",
    "q": "quiet", "t": "tty", "u": "user", "v": "volume", "w": "workdir",
}  # fmt: skip
SWITCHES = frozenset((
    "detach", "disable-content-trust", "help", "init", "interactive", "no-healthcheck",
    "oom-kill-disable", "privileged", "publish-all", "quiet", "read-only", "rm", "sig-proxy",
    "tty", "use-api-socket",
    # podman's own
    "env-host", "http-proxy", "no-hostname", "no-hosts", "passwd", "read-only-tmpfs", "replace",
    "rmi", "rootfs", "tls-verify", "unsetenv-all",
    "insecure-registry",  # nerdctl's own
))  # fmt: skip
# The proxy container has the network, and so has these.
_PROXYS = ("publish", "publish-all", "expose")
_CLASHES = {
    **dict.fromkeys(
        ("network", "net", "network-alias", "net-alias", "ip", "ip6", "link", "link-local-ip",
         "pod"),
        "its network is that of the proxy container, and so the pod's",
    ),
    **dict.fromkeys(("hostname", "domainname", "uts"), "its host name is the pod's"),
    **dict.fromkeys(
        ("dns", "dns-opt", "dns-option", "dns-search", "add-host"),
        "its names are looked up as in the pod",
    ),
    "mac-address": "its network device is the proxy container's",
    "restart": "it ends with the session",
}  # fmt: skip
_TRUE = ("1", "t", "T", "true", "TRUE", "True")  # Go: strconv.ParseBool


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option, as it was written."""

    name: str  # long, without dashes
    value: str | None  # None: a switch without one
    words: tuple[str, ...]

    @property
    def is_on(self) -> bool:
        return self.value is None or self.value in _TRUE


def takes_value(name: str) -> bool:
    return name not in SWITCHES


def _cluster(letters: str, following: list[str]) -> list[Option]:
    """-itp 80:80: switches, and maybe an option that takes the rest or the next word."""
    options = []
    while letters:
        letter, letters = letters[0], letters[1:]
        name = SHORT.get(letter, letter)
        if takes_value(name):
            if not letters and not following:
                raise UsageError(f"--docker-run: -{letter} needs a value", hint="docker run --help")
            value = letters.removeprefix("=") if letters else following.pop(0)
            options.append(Option(name=name, value=value, words=(f"--{name}={value}",)))
            return options
        if letters.startswith("="):
            value = letters[1:]
            return [*options, Option(name=name, value=value, words=(f"--{name}={value}",))]
        options.append(Option(name=name, value=None, words=(f"--{name}",)))
    return options


def _long(word: str, following: list[str]) -> Option:
    name, equals, value = word[2:].partition("=")
    if equals:
        return Option(name=name, value=value, words=(word,))
    if not takes_value(name):
        return Option(name=name, value=None, words=(word,))
    if not following:
        raise UsageError(f"--docker-run: {word} needs a value", hint="docker run --help")
    value = following.pop(0)
    return Option(name=name, value=value, words=(word, value))


def take_options(words: tuple[str, ...]) -> tuple[list[Option], tuple[str, ...]]:
    """The options, and the words from the image on."""
    options: list[Option] = []
    following = list(words)
    while following and following[0].startswith("-") and following[0] != "-":
        word = following.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            options.append(_long(word, following))
        else:
            options += _cluster(word[1:], following)
    return options, tuple(following)


def _refuse_clashes(options: list[Option]) -> None:
    for option in options:
        if why := _CLASHES.get(option.name):
            raise UsageError(
                f"--docker-run: --{option.name} cannot be given, as {why}",
                hint=f"leave out {' '.join(option.words)}",
            )


def _is_proxys(option: Option) -> bool:
    is_sysctl = option.name == "sysctl" and (option.value or "").startswith("net.")
    return option.name in _PROXYS or is_sysctl


def divide(words: tuple[str, ...]) -> ContainerRun:
    """UsageError: no image, an option without its value, or one that clashes."""
    options, rest = take_options(words)
    if not rest or not rest[0]:
        raise UsageError(
            "--docker-run needs the name of an image",
            hint="--docker-run [OPTIONS] IMAGE [COMMAND], as for docker run",
        )
    _refuse_clashes(options)
    last = {option.name: option for option in options}
    ours = ("detach", "rm")  # done in another way, whatever was said
    stop = last["stop-timeout"].value if "stop-timeout" in last else None
    return ContainerRun(
        proxy_words=tuple(word for o in options if _is_proxys(o) for word in o.words),
        user_words=tuple(
            word for o in options if not _is_proxys(o) and o.name not in ours for word in o.words
        ),
        image=rest[0],
        command=rest[1:],
        name=last["name"].value if "name" in last else None,
        is_detached="detach" in last and last["detach"].is_on,
        publishes_all="publish-all" in last and last["publish-all"].is_on,
        has_init="init" in last,
        stop_timeout_s=int(stop) if stop is not None and stop.isdigit() else None,
    )
