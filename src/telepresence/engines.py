"""Look at the container engine that the user wants: where it is, and what its compose says.

Called by: cluster/observe.py.
Owns: nothing.
Never: starts or changes anything in the engine.
"""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any, TypedDict

from telepresence.values import Options

_HERE = re.compile(r"$|(unix|npipe|fd):|tcp://(localhost|127(\.\d+){3}|\[::1\])(:|/|$)")


class Engine(TypedDict):
    """Fields of Facts."""

    engine: str | None
    engine_host: str
    compose: tuple[str, ...]
    compose_config: dict[str, Any] | None
    no_compose: str


async def _said(words: list[str]) -> tuple[int, str, str]:
    """Of a program that only looks: exit code, output, messages."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


async def _engine(program: str, environ: dict[str, str]) -> tuple[str | None, str]:
    """The client's path, and where its engine is if that is another machine."""
    path = shutil.which(program)
    if path is None:
        return None, ""
    host = environ.get("CONTAINER_HOST", "")
    if "podman" not in Path(path).name and "nerdctl" not in Path(path).name:
        ask = [path, "context", "inspect", "--format={{.Endpoints.docker.Host}}"]
        host = environ.get("DOCKER_HOST") or (await _said(ask))[1].strip()
    return path, "" if _HERE.match(host) else host


async def _compose(
    engine: str, words: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Any] | None, str]:
    """The words that are compose, and what it makes of the user's files, or why it does not."""
    program: tuple[str, ...] = (engine, "compose")
    if (await _said([*program, "version"]))[0]:
        alone = shutil.which(f"{Path(engine).name}-compose")
        if alone is None:
            return (), None, ""
        program = (alone,)
    code, out, err = await _said([*program, *words, "config"])
    if code:
        return program, None, (err.strip().splitlines() or ["it does not say why"])[-1]
    from yaml import safe_load  # type: ignore[import-untyped] # it says no types

    return program, safe_load(out), ""


async def look(options: Options, environ: dict[str, str]) -> Engine:
    path, host = await _engine(options.docker, environ) if options.is_container else (None, "")
    made: Engine = {"engine": path, "engine_host": host, "compose": (), "compose_config": None,
                    "no_compose": ""}  # fmt: skip
    if options.docker_compose is not None and path is not None:
        found = await _compose(path, options.docker_compose)
        made["compose"], made["compose_config"], made["no_compose"] = found
    return made
