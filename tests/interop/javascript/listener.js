// rhea as a listener for our programs: nodes that store what comes until somebody takes it, made when somebody attaches, and
// addresses made for who asks for one. Over TCP, or with the word `ws` over WebSocket. Prints its port; ends with its standard
// input.
"use strict";

const rhea = require("rhea");

const container = rhea.create_container();
const nodes = new Map();
let made = 0;

function node(address) {
    if (!nodes.has(address)) {
        nodes.set(address, { messages: [], takers: new Set() });
    }
    return nodes.get(address);
}

function forward({ messages, takers }) {
    for (const taker of takers) {
        while (messages.length > 0 && taker.sendable()) {
            taker.send(messages.shift());
        }
    }
}

container.sasl_server_mechanisms.enable_anonymous();

// The peer receives.
container.on("sender_open", ({ sender }) => {
    let address = sender.source.address;
    if (sender.source.dynamic) {
        made += 1;
        address = `made-${made}`;
        sender.set_source({ address, dynamic: true });
    } else {
        sender.set_source({ address });
    }
    node(address).takers.add(sender);
    // Not at once: where a client asks and gives credit in one go, rhea would write the message ahead of its own attach.
    sender.on("sendable", () => setImmediate(forward, node(address)));
    sender.on("sender_close", () => node(address).takers.delete(sender));
});

// The peer sends.
container.on("receiver_open", ({ receiver }) => {
    receiver.set_target({ address: receiver.target.address });
});

container.on("message", ({ message, receiver }) => {
    const to = node(receiver.target.address || message.to);
    to.messages.push(message);
    forward(to);
});

// Links that go with their connection are not told of.
for (const event of ["connection_close", "disconnected"]) {
    container.on(event, ({ connection }) => {
        for (const { takers } of nodes.values()) {
            for (const taker of takers) {
                if (taker.connection === connection) {
                    takers.delete(taker);
                }
            }
        }
    });
}

for (const event of ["error", "protocol_error", "connection_error"]) {
    container.on(event, (context) => console.error(`${event}: ${context.error || context}`));
}

function listen_websocket() {
    const { WebSocketServer } = require("ws");
    const handleProtocols = (offered) => (offered.has("amqp") ? "amqp" : false);
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols });
    return server.on("connection", (socket) => container.websocket_accept(socket));
}

const is_websocket = process.argv[2] === "ws";
const server = is_websocket ? listen_websocket() : container.listen({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
