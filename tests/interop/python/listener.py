"""A Proton listener whose nodes do what their addresses say. Prints the number of its port, then serves until its standard input ends.

Links that send to it:
    verify/SAMPLE       accepted if it is that sample, else rejected with the difference
    accepted, released, rejected, modified
                        the outcome of every message
    store/KEY           kept, decoded and encoded anew
Links that receive from it:
    give/SAMPLE         that sample, once
    numbers/N           messages 1 to N; N settled ones if the link asks for that
    report              a message, then a description of what became of it
    store/KEY           what is kept there
    (dynamic)           an address is given
Either:
    refused             refused with an error: attached without such a terminus, then detached
    detached            attached, then detached with an error
    ends-session        the session is ended with an error
    closes-connection   the connection is closed with an error
    silent              not answered
"""

import argparse
import os
import sys
import threading
from collections import deque

from proton import Condition, Delivery, Endpoint, Handler, Link, Message, SSLDomain, Terminus, symbol
from proton.reactor import Container

import samples

CREDIT = 100


class Node(Handler):
    def __init__(self, options):
        self.options = options
        self.stored = {}
        self.takers = {}

    def on_reactor_init(self, event):
        acceptor = event.container.listen("127.0.0.1:0", ssl_domain=self.tls())
        print(acceptor._selectable._delegate.getsockname()[1], flush=True)

    def tls(self):
        """TLS with a certificate; with an authority, clients have to have one of it."""
        if not self.options.cert:
            return None
        domain = SSLDomain(SSLDomain.MODE_SERVER)
        domain.set_credentials(self.options.cert, self.options.key, None)
        if self.options.ca:
            domain.set_trusted_ca_db(self.options.ca)
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER, self.options.ca)
        return domain

    def on_connection_bound(self, event):
        transport = event.transport
        if self.options.mechanisms:
            transport.sasl().allowed_mechs(self.options.mechanisms)
        transport.sasl().allow_insecure_mechs = True
        if self.options.max_frame_size:
            transport.max_frame_size = self.options.max_frame_size
        if self.options.idle_timeout:
            transport.idle_timeout = self.options.idle_timeout

    def on_connection_remote_open(self, event):
        event.connection.container = "listener"
        if self.options.mechanisms:
            print(event.transport.sasl().mech, event.transport.user, flush=True)
        event.connection.open()

    def on_session_remote_open(self, event):
        event.session.open()

    def on_link_remote_open(self, event):
        link = event.link
        terminus = link.remote_source if link.is_sender else link.remote_target
        address = "dynamic-1" if terminus.dynamic else terminus.address or ""
        not_found = Condition("amqp:not-found", "no node " + address)
        if address == "silent":
            return
        if address == "ends-session":
            event.session.condition = not_found
            event.session.close()
            return
        if address == "closes-connection":
            event.connection.condition = not_found
            event.connection.close()
            return
        if address in ("refused", "detached"):
            if address == "refused":
                (link.source if link.is_sender else link.target).type = Terminus.UNSPECIFIED
            link.open()
            link.condition = not_found
            link.close()
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        if terminus.dynamic:
            link.source.address = address
        kind, _, link.key = address.partition("/")
        link.kind = kind
        link.waiting = self.messages(kind, link.key) if link.is_sender else None
        link.open()
        if link.is_receiver:
            link.flow(CREDIT)
        elif kind == "store":
            self.takers[link.key] = link

    def messages(self, kind, key):
        if kind == "give":
            return deque([samples.encode(samples.SAMPLES[key])])
        if kind == "numbers":
            return deque(Message(id=n, body={"sequence": n}).encode() for n in range(1, int(key) + 1))
        if kind == "report":
            return deque([Message(body="what do you make of it?").encode()])
        if kind == "store":
            return self.stored.setdefault(key, deque())
        return deque()

    def on_link_flow(self, event):
        if event.link.is_sender and event.link.state & Endpoint.LOCAL_ACTIVE:
            self.send(event.link)

    def send(self, link):
        while link.credit and link.waiting:
            delivery = link.delivery(link.delivery_tag())
            link.send(link.waiting.popleft())
            if link.snd_settle_mode == Link.SND_SETTLED:
                delivery.settle()
            link.advance()
        if link.drain_mode and not link.waiting:
            link.drained()

    def on_delivery(self, event):
        delivery, link = event.delivery, event.link
        if link.is_sender:
            self.on_outcome(delivery, link)
        elif delivery.aborted:
            delivery.settle()
            link.flow(1)
        elif delivery.readable and not delivery.partial:
            encoded = link.recv(delivery.pending)
            link.advance()
            link.flow(1)
            self.judge(delivery, link, encoded)
            # With rcv-settle-mode second the sender settles first.
            if link.rcv_settle_mode != Link.RCV_SECOND or delivery.settled:
                delivery.settle()
        elif delivery.settled:
            delivery.settle()

    def judge(self, delivery, link, encoded):
        outcome = Delivery.ACCEPTED
        if link.kind == "verify":
            difference = samples.difference(samples.SAMPLES[link.key], samples.decode(encoded))
            if difference:
                delivery.local.condition = Condition("x:different", difference)
                outcome = Delivery.REJECTED
        elif link.kind == "store":
            self.stored.setdefault(link.key, deque()).append(samples.encode(samples.decode(encoded)))
            if link.key in self.takers:
                self.send(self.takers[link.key])
        elif link.kind == "released":
            outcome = Delivery.RELEASED
        elif link.kind == "rejected":
            delivery.local.condition = Condition("x:because", "not wanted", {symbol("x-detail"): 1})
            outcome = Delivery.REJECTED
        elif link.kind == "modified":
            delivery.local.failed = True
            delivery.local.undeliverable = True
            delivery.local.annotations = {symbol("x-opt-note"): "changed"}
            outcome = Delivery.MODIFIED
        delivery.update(outcome)

    def on_outcome(self, delivery, link):
        if not delivery.updated or not delivery.remote_state and not delivery.settled:
            return
        if link.kind == "report":
            link.kind = "reported"
            link.waiting.append(Message(body=description(delivery)).encode())
            self.send(link)
        delivery.settle()

    def on_link_remote_close(self, event):
        self.takers = {key: link for key, link in self.takers.items() if link != event.link}
        event.link.close()

    def on_link_remote_detach(self, event):
        event.link.detach()

    def on_session_remote_close(self, event):
        event.session.close()

    def on_connection_remote_close(self, event):
        event.connection.close()

    def on_transport_closed(self, event):
        self.takers = {key: link for key, link in self.takers.items() if link.connection != event.connection}


def description(delivery):
    """What the receiver made of a delivery, as a map."""
    state, remote = delivery.remote_state, delivery.remote
    told = {"state": state.name if state else None, "settled": delivery.settled}
    if state == Delivery.MODIFIED:
        told.update(failed=remote.failed, undeliverable=remote.undeliverable, annotations=remote.annotations)
    if state == Delivery.REJECTED and remote.condition:
        told.update(condition=remote.condition.name, description=remote.condition.description)
    return told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-frame-size", type=int)
    parser.add_argument("--idle-timeout", type=float, help="in seconds")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--ca")
    parser.add_argument("--mechanisms", help="for each connection, the one used and the user are printed")
    options = parser.parse_args()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    Container(Node(options)).run()


if __name__ == "__main__":
    main()
