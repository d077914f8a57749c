// rhea as the client of our listeners: one thing that it does, told by the first word, at HOST:PORT/NODE, behind ws:// or wss://
// for WebSocket. It prints what it was given.
"use strict";

const container = require("rhea").create_container();

// An error that nobody handles ends the program with a trace.
for (const event of ["error", "protocol_error", "connection_error", "session_error", "sender_error", "receiver_error"]) {
    container.on(event, (context) => {
        throw new Error(`${event}: ${context.error || context}`);
    });
}

const actions = {
    // Sends `count` messages as the tutorial's simple_send does; prints their outcomes.
    send(connection, node, count) {
        let sent = 0;
        let settled = 0;
        const sender = connection.open_sender(node);
        sender.on("sendable", () => {
            while (sent < count && sender.sendable()) {
                sent += 1;
                sender.send({ message_id: sent, body: { sequence: sent } });
            }
        });
        for (const outcome of ["accepted", "rejected", "released", "modified"]) {
            sender.on(outcome, () => console.log(outcome));
        }
        sender.on("settled", () => {
            settled += 1;
            if (settled === Number(count)) {
                connection.close();
            }
        });
    },

    // Receives `count` messages; prints each body.
    receive(connection, node, count) {
        let received = 0;
        const receiver = connection.open_receiver(node);
        receiver.on("message", ({ message }) => {
            received += 1;
            console.log(JSON.stringify(message.body));
            if (received === Number(count)) {
                receiver.close();
                connection.close();
            }
        });
    },

    // Sends requests one after the other, to be answered at an address that the peer makes; prints the answers.
    request(connection, node, ...texts) {
        const sender = connection.open_sender(node);
        const receiver = connection.open_receiver({ source: { dynamic: true } });
        let asked = 0;
        const ask = () => {
            if (asked === texts.length) {
                return connection.close();
            }
            sender.send({ body: texts[asked], reply_to: receiver.source.address, correlation_id: asked });
            asked += 1;
        };
        receiver.on("receiver_open", () => (sender.sendable() ? ask() : sender.once("sendable", ask)));
        receiver.on("message", ({ message }) => {
            console.log(`${texts[message.correlation_id]} => ${message.body}`);
            ask();
        });
    },
};

container.on("disconnected", ({ error }) => {
    throw error || new Error("disconnected");
});

const [action, address, ...words] = process.argv.slice(2);
const [, scheme, host, port, node] = /^(wss?:\/\/)?(.*):(\d+)\/(.*)$/.exec(address);
const options = { host, port, username: "anonymous", reconnect: false };
if (scheme) {
    const ca = process.env.CA && require("fs").readFileSync(process.env.CA);
    const connect = container.websocket_connect(require("ws"));
    options.connection_details = connect(`${scheme}${host}:${port}`, ["binary", "AMQPWSB10", "amqp"], { ca });
}
const connection = container.connect(options);
actions[action](connection, node, ...words);
