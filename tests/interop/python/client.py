"""A Proton client: does what it is told with a server at the other end, and prints what came of it, line by line.

    send ADDRESS SAMPLE         sends that sample: prints the outcome
    outcomes ADDRESS...         sends a message to each address in turn: prints the outcomes
    receive ADDRESS SAMPLE      receives one message: prints `same`, or the difference to the sample
    settle ADDRESS OUTCOME...   receives a message for each outcome and settles it so
    bounce ADDRESS SIZE...      sends texts of so many bytes and receives them again
    drain ADDRESS               gives credit for 10 messages and drains: prints how many came
    second ADDRESS              sends with rcv-settle-mode second: prints the outcome
    dynamic                     asks for an address: prints it
    refused ADDRESS             attaches: prints the error
    idle SECONDS                stays connected for so long, asking for heartbeats twice a second
"""

import argparse
import signal
import time

from proton import Delivery, Handler, Message, SSLDomain, symbol
from proton.reactor import AtLeastOnce, DynamicNodeProperties, LinkOption
from proton.utils import BlockingConnection, LinkDetached

import samples

TIMEOUT = 20


class Second(LinkOption):
    def apply(self, link):
        link.rcv_settle_mode = link.RCV_SECOND


class Encoded:
    """A message that is encoded already, as senders take it."""

    def __init__(self, sections):
        self.encoded = samples.encode(sections)

    def send(self, sender, tag=None):
        delivery = sender.delivery(tag or sender.delivery_tag())
        sender.stream(self.encoded)
        if sender.snd_settle_mode == sender.SND_SETTLED:
            delivery.settle()
        sender.advance()
        return delivery


def outcome(connection, address, message, options=None):
    """Sends a message and waits for its outcome, as text."""
    sender = connection.create_sender(address, options=options)
    delivery = sender.link.send(message)
    connection.wait(lambda: delivery.remote_state or delivery.settled, timeout=TIMEOUT)
    state, remote = delivery.remote_state, delivery.remote
    told = [state.name if state else "SETTLED", "settled" if delivery.settled else "unsettled"]
    if remote.condition:
        told += [remote.condition.name, remote.condition.description]
    if state == Delivery.MODIFIED:
        told += ["failed" * remote.failed, "undeliverable" * remote.undeliverable, str(remote.annotations)]
    delivery.settle()
    sender.close()
    return " ".join(filter(None, told))


def send(connection, address, sample):
    print(outcome(connection, address, Encoded(samples.SAMPLES[sample])))


def outcomes(connection, *addresses):
    for address in addresses:
        print(outcome(connection, address, Message(body=address)))


def receive(connection, address, sample):
    raw = Raw()
    receiver = connection.create_receiver(address, credit=1, handler=raw)
    connection.wait(lambda: raw.received, timeout=TIMEOUT)
    receiver.close()
    print(samples.difference(samples.SAMPLES[sample], samples.decode(raw.received[0])) or "same")


class Raw(Handler):
    """Accepts messages and keeps their bytes."""

    def __init__(self):
        self.received = []

    def on_delivery(self, event):
        delivery = event.delivery
        if delivery.readable and not delivery.partial:
            self.received.append(event.link.recv(delivery.pending))
            event.link.advance()
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
            event.container.yield_()


def settle(connection, address, *outcomes):
    receiver = connection.create_receiver(address, credit=1)
    for name in outcomes:
        message = receiver.receive(timeout=TIMEOUT)
        delivery = receiver.fetcher.unsettled[-1]
        if name == "rejected":
            receiver.reject()
        elif name == "modified":
            delivery.local.failed = True
            delivery.local.annotations = {symbol("x-opt-note"): "changed"}
            receiver.release(delivered=True)
        elif name == "released":
            receiver.release(delivered=False)
        else:
            receiver.accept()
        print(message.body)


def bounce(connection, address, *sizes):
    sender = connection.create_sender(address, options=AtLeastOnce())
    receiver = connection.create_receiver(address, credit=1)
    for size in map(int, sizes):
        text = "t" * size
        sender.send(Message(body=text), timeout=TIMEOUT)
        print(receiver.receive(timeout=TIMEOUT).body == text)
        receiver.accept()


def drain(connection, address):
    receiver = connection.create_receiver(address, credit=0)
    receiver.link.drain(10)
    connection.wait(lambda: receiver.link.credit == 0, timeout=TIMEOUT)
    print(len(receiver.fetcher.incoming))


def second(connection, address):
    print(outcome(connection, address, Message(body="second"), options=Second()))


def dynamic(connection):
    receiver = connection.create_receiver(None, dynamic=True, options=DynamicNodeProperties({"x-opt": 1}))
    print(receiver.link.remote_source.address)


def refused(connection, address):
    try:
        connection.create_sender(address)
        print("attached")
    except LinkDetached as error:
        print(error.condition)


def idle(connection, seconds):
    until = time.monotonic() + float(seconds)
    try:
        connection.wait(lambda: time.monotonic() > until, timeout=float(seconds) + 1)
    finally:
        print("alive" if connection.conn and not connection.disconnected else "disconnected")


def tls(options):
    """TLS that trusts an authority, with a certificate of its own or without."""
    if not options.ca:
        return None
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(options.ca)
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    if options.cert:
        domain.set_credentials(options.cert, options.key, None)
    return domain


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-frame-size", type=int)
    parser.add_argument("--no-sasl", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--mechanism")
    parser.add_argument("--ca")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("url")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    signal.alarm(60)
    connection = BlockingConnection(
        options.url,
        timeout=TIMEOUT,
        heartbeat=1 if options.command == "idle" else None,
        max_frame_size=options.max_frame_size,
        sasl_enabled=not options.no_sasl,
        user=options.user,
        password=options.password,
        allowed_mechs=options.mechanism,
        ssl_domain=tls(options),
        reconnect=False,
    )
    COMMANDS[options.command](connection, *options.words)
    connection.close()


COMMANDS = {
    function.__name__: function
    for function in (send, outcomes, receive, settle, bounce, drain, second, dynamic, refused, idle)
}

if __name__ == "__main__":
    main()
