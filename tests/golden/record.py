#!/usr/bin/env python3
"""Records what real peers send: scripts/peers with tests/golden/record.py

A proxy stands between a client and a server and writes what passes, an item a line: `<` for the server's and `>` for the
client's, then a protocol header or a frame in hex. Each connection is a file of its own.
"""

import asyncio
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
PYTHON = os.environ["AMQP1_PROTON_PYTHON"]
EXAMPLES = Path(os.environ["AMQP1_PROTON_EXAMPLES"])
CLIENT = HERE.parent / "interop/python/client.py"
LISTENER = HERE.parent / "interop/python/listener.py"
SMALL = ["--max-frame-size", "512"]
SAMPLES = ["primitives", "compounds", "sections", "sequences", "text-ids", "null"]


class Proxy:
    """Listens, passes on what it reads, and keeps it."""

    def __init__(self, host, port):
        self.upstream = host, port
        self.connections = []
        self.open = 0

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        items = []
        self.connections.append(items)
        self.open += 1
        above = await asyncio.open_connection(*self.upstream)
        await asyncio.gather(pump(reader, above[1], items, ">"), pump(above[0], writer, items, "<"))
        self.open -= 1

    async def idle(self):
        while self.open:
            await asyncio.sleep(0.01)


async def pump(reader, writer, items, mark):
    rest = b""
    try:
        while data := await reader.read(65536):
            rest += data
            while (size := item_size(rest)) and len(rest) >= size:
                items.append(mark + " " + rest[:size].hex())
                rest = rest[size:]
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


def item_size(data):
    if len(data) < 8:
        return None
    return 8 if data.startswith(b"AMQP") else int.from_bytes(data[:4], "big")


async def run(*command, status=0, env=None):
    process = await asyncio.create_subprocess_exec(*map(str, command), env=env and os.environ | env)
    ended = await asyncio.wait_for(process.wait(), 120)
    if status is not None and ended != status:
        sys.exit("%s: status %d" % (command, ended))


async def record(name, server, *clients):
    """Records all connections of these clients, which are commands with a `{}` for the address."""
    host, port = server.rsplit(":", 1)
    proxy = await Proxy(host, int(port)).start()
    for client in clients:
        await client(proxy.address)
    await proxy.idle()
    for number, items in enumerate(proxy.connections):
        suffix = "-%d" % (number + 1) if len(proxy.connections) > 1 else ""
        (HERE / (name + suffix + ".hex")).write_text("\n".join(items) + "\n")
    print(name, [len(items) for items in proxy.connections])


def proton(*words, options=()):
    return lambda address: run(PYTHON, CLIENT, *options, address, *words)


def example(name, node, count):
    return lambda address: run(PYTHON, EXAMPLES / name, "-a", address + node, "-m", count)


def interop(test):
    """One of our own tests with the proxy as RabbitMQ."""
    cargo = ["cargo", "test", "--quiet", "--package", "amqp1-interop", "--", "--exact", test]
    return lambda address: run(*cargo, env={"AMQP1_RABBITMQ": address})


async def bare_header(address):
    """A client that leaves the SASL layer out."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"AMQP\x00\x01\x00\x00")
    await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def wrong_password(address):
    url = "amqp://guest:wrong@%s//queues/examples" % address
    await run("cargo", "run", "--quiet", "--example", "simple_send", "--", "-a", url, status=1)


async def main():
    listener = await asyncio.create_subprocess_exec(
        PYTHON, LISTENER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    nodes = "127.0.0.1:" + (await listener.stdout.readline()).decode().strip()
    for name in SAMPLES:
        await record("proton-" + name, nodes, proton("receive", "give/" + name, name))
        await record("proton-" + name + "-sent", nodes, proton("send", "verify/" + name, name))
    await record("proton-outcomes", nodes, proton("outcomes", "accepted", "released", "rejected", "modified"))
    await record("proton-settle", nodes, proton("settle", "numbers/4", "accepted", "released", "rejected", "modified"))
    await record("proton-small-frames", nodes, proton("bounce", "store/small", "0", "3000", options=SMALL))
    await record("proton-drain", nodes, proton("drain", "numbers/3"))
    await record("proton-second", nodes, proton("second", "accepted"))
    await record("proton-dynamic", nodes, proton("dynamic"))
    await record("proton-refused", nodes, proton("refused", "refused"))
    await record("proton-idle", nodes, proton("idle", "2"))
    listener.stdin.close()
    await listener.wait()

    broker = os.environ["AMQP1_PROTON_BROKER"]
    await record("proton-broker", broker, example("simple_send.py", "/golden", 3), example("simple_recv.py", "/golden", 3))

    rabbitmq = os.environ["AMQP1_RABBITMQ"]
    queue = "//queues/examples"
    await record("proton-rabbitmq", rabbitmq, example("simple_send.py", queue, 6), example("simple_recv.py", queue, 6))
    await record("rabbitmq-management", rabbitmq, interop("rabbitmq::gotcha_4_management_is_a_pair_of_links_of_the_same_name"))
    await record("rabbitmq-types", rabbitmq, interop("rabbitmq::gotcha_9_every_type_comes_back_in_body_and_properties"))
    await record("rabbitmq-errors", rabbitmq, interop("rabbitmq::gotcha_2_errors_end_the_session"))
    await record("rabbitmq-drain", rabbitmq, interop("rabbitmq::drain_gives_what_there_is"))
    await record("rabbitmq-wrong-password", rabbitmq, wrong_password)
    await record("rabbitmq-bare-header", rabbitmq, bare_header)


asyncio.run(main())
