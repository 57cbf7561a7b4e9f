"""An API server that is far away: a relay on loopback that holds each byte for a while.

Called by: the questions of this folder.
Owns: the relay, its thread and a kubeconfig that leads to it.
Never: limits the rate.
"""

import asyncio
import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1 << 18


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float
) -> None:
    loop = asyncio.get_running_loop()
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

    async def release() -> None:
        while True:
            due, data = await held.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(data)
            await writer.drain()
            if not data:
                writer.close()
                return

    releasing = asyncio.ensure_future(release())
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            await held.put((loop.time() + delay_s, data))
    await held.put((0.0, b""))
    with contextlib.suppress(OSError):
        await releasing


async def _serve(host: str, port: int, delay_s: float, ready: "list[int]") -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            _pass_on(reader, far_writer, delay_s), _pass_on(far_reader, writer, delay_s)
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    ready.append(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


@contextlib.contextmanager
def delayed_kubeconfig(delay_s: float) -> Iterator[Path]:
    """A kubeconfig like $KUBECONFIG, whose server is `delay_s` further away each way."""
    words = ["kubectl", "config", "view", "--raw", "--minify", "-o", "json"]
    config = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    assert server.hostname is not None
    ready: list[int] = []
    loop = asyncio.new_event_loop()
    serving = loop.create_task(_serve(server.hostname, server.port or 443, delay_s, ready))
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.wait([serving]),))
    thread.start()
    try:
        while not ready:
            threading.Event().wait(0.01)
        cluster["server"] = f"https://127.0.0.1:{ready[0]}"
        cluster["tls-server-name"] = server.hostname
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kubeconfig"
            path.write_text(json.dumps(config))
            yield path
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
