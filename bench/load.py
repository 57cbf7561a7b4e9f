"""Put one kind of load on a server and say how it went: a line of JSON in, a line of JSON out.

Called by: the questions of this folder, directly and as the command of a telepresence session.
Owns: the connections of one order.
Never: knows by which path the bytes travel; imports nothing but the standard library, so that it
runs wherever a user's program would.

Orders: {"do": "up" | "down", "host", "port", "bytes"}         -> {"mb_s"}
        {"do": "echo", "host", "port", "rounds"}               -> {"us": [...]}
        {"do": "connect", "host", "port", "rounds"}            -> {"ms": [...]}
        {"do": "steady", "host", "port", "per_s", "seconds"}   -> {"ms": [...], "errors", "seconds"}
        {"do": "dns", "host", "name", "rounds", "window", "first"} -> {"us", "per_s"}
        {"do": "env", "name"}                                  -> {"value"}
        {"do": "crowd", "host", "port", "streams", "stopped", "seconds"} -> {"mb_s"}
Servers: the sandbox's bench server (7007 echo, 7009 sink, 7019 source).
"""

import json
import os
import socket
import struct
import sys
import threading
import time

CHUNK = bytes(256 * 1024)
PATIENCE_S = 60.0


def dial(order: dict) -> socket.socket:
    sock = socket.create_connection((order["host"], order["port"]), PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def up(order: dict) -> dict:
    """Until the sink has confirmed the last byte."""
    with dial(order) as sock:
        left = order["bytes"]
        began = time.perf_counter()
        sock.sendall(struct.pack("!Q", left))
        while left > 0:
            part = CHUNK[: min(left, len(CHUNK))]
            sock.sendall(part)
            left -= len(part)
        if sock.recv(1) != b"k":
            raise EOFError("the sink has lost the connection")
        return {"mb_s": order["bytes"] / (time.perf_counter() - began) / 1e6}


def receive(sock: socket.socket, size: int) -> None:
    buffer = bytearray(len(CHUNK))
    while size > 0:
        got = sock.recv_into(buffer, min(size, len(buffer)))
        if got == 0:
            raise EOFError("the source has lost the connection")
        size -= got


def down(order: dict) -> dict:
    with dial(order) as sock:
        began = time.perf_counter()
        sock.sendall(struct.pack("!Q", order["bytes"]))
        receive(sock, order["bytes"])
        return {"mb_s": order["bytes"] / (time.perf_counter() - began) / 1e6}


def echo(order: dict) -> dict:
    taken = []
    with dial(order) as sock:
        for _ in range(order["rounds"]):
            began = time.perf_counter()
            sock.sendall(CHUNK[:64])
            receive(sock, 64)
            taken.append((time.perf_counter() - began) * 1e6)
    return {"us": taken}


def connect(order: dict) -> dict:
    """A new connection and one byte there and back, `pause_ms` after the one before."""
    taken = []
    for _ in range(order["rounds"]):
        time.sleep(order.get("pause_ms", 0) / 1e3)
        began = time.perf_counter()
        with dial(order) as sock:
            sock.sendall(b"x")
            receive(sock, 1)
            taken.append((time.perf_counter() - began) * 1e3)
    return {"ms": taken}


def steady(order: dict) -> dict:
    """`per_s` new connections a second for `seconds`."""
    taken, errors = [], []
    began = time.perf_counter()
    for number in range(order["per_s"] * order["seconds"]):
        time.sleep(max(0.0, began + number / order["per_s"] - time.perf_counter()))
        start = time.perf_counter()
        try:
            with dial(order) as sock:
                sock.sendall(b"x")
                receive(sock, 1)
        except OSError as error:
            errors.append(str(error))
        taken.append((time.perf_counter() - start) * 1e3)
    seconds = time.perf_counter() - began
    return {"ms": taken, "errors": errors, "seconds": seconds}


def crowd(order: dict) -> dict:
    """`streams` downloads at once, of which `stopped` are never read; the rate of the others."""
    socks = [dial(order) for _ in range(order["streams"])]
    for sock in socks:
        sock.sendall(struct.pack("!Q", 2**40))
    readers = socks[order["stopped"] :]
    for sock in readers:
        receive(sock, 1)
    moved = [0] * len(readers)
    until = time.perf_counter() + order["seconds"]

    def read(number: int, sock: socket.socket) -> None:
        buffer = bytearray(65_536)
        while time.perf_counter() < until:
            moved[number] += sock.recv_into(buffer)

    threads = [threading.Thread(target=read, args=pair) for pair in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sock in socks:
        sock.close()
    return {"mb_s": sum(moved) / order["seconds"] / 1e6}


def env(order: dict) -> dict:
    """A variable of this process, which is the pod's inside a session."""
    return {"value": os.environ[order["name"]]}


def dns(order: dict) -> dict:
    """Questions for A records over UDP, `window` under way at once; {} in a name is its number,
    counted from `first`."""
    taken, sent, first = [], {}, order.get("first", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect((order["host"], 53))
        began, number = time.perf_counter(), 0
        while len(taken) < order["rounds"]:
            while len(sent) < order.get("window", 1) and number < order["rounds"]:
                labels = order["name"].format(first + number).encode().split(b".")
                wire = b"".join(bytes([len(label)]) + label for label in labels)
                sent[number % 65_536] = time.perf_counter()
                sock.send(
                    struct.pack("!6H", number % 65_536, 256, 1, 0, 0, 0) + wire + b"\0\0\1\0\1"
                )
                number += 1
            answer = sock.recv(2048)
            taken.append((time.perf_counter() - sent.pop(answer[0] << 8 | answer[1])) * 1e6)
        return {"us": taken, "per_s": len(taken) / (time.perf_counter() - began)}


ORDERS = {
    "steady": steady,
    "dns": dns,
    "env": env,
    "up": up,
    "down": down,
    "echo": echo,
    "connect": connect,
    "crowd": crowd,
}


def main() -> None:
    print(json.dumps({"ready": time.time()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(ORDERS[order["do"]](order)), flush=True)


if __name__ == "__main__":
    main()
