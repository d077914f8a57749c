//! Both ends of a connection in one container, over whatever its URL says.

use amqp1_driver::program::{
    AtMostOnce, Context, Delivery, Handler, ListenerId, Message, SenderId, Tracker, Url,
};

/// Sends large and small messages to itself, and counts those that come unchanged and are confirmed.
pub(crate) struct Direct {
    scheme: &'static str,
    count: usize,
    listener: Option<ListenerId>,
    sent: usize,
    pub(crate) received: usize,
    pub(crate) confirmed: usize,
}

/// Each has another length, up to many records of TLS.
fn body(number: usize) -> Vec<u8> {
    vec![number as u8; number * 7919 % 300_000]
}

impl Direct {
    pub(crate) fn new(scheme: &'static str, count: usize) -> Self {
        Self { scheme, count, listener: None, sent: 0, received: 0, confirmed: 0 }
    }

    fn at(&self, port: &str) -> Url {
        format!("{}://localhost:{port}/queue", self.scheme).parse().unwrap()
    }
}

impl Handler for Direct {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen(self.at("0"));
    }

    fn on_listening(&mut self, cx: &mut Context<'_>, listener: ListenerId, address: &str) {
        let server = self.at(address.rsplit_once(':').unwrap().1);
        // One that only comes and goes, and one for the messages.
        let passing = cx.connect(&server);
        cx.create_sender(passing, ("nothing", AtMostOnce));
        cx.close(passing);
        cx.create_sender(&server, ());
        self.listener = Some(listener);
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while self.sent < self.count && cx.credit(sender) > 0 {
            if cx.send(sender, &Message::from(body(self.sent))).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        let expected = Message::from(body(self.received)).body;
        let message = Message::decode(&delivery.payload().clone().into_bytes()).unwrap();
        assert!(message.body == expected, "message {} was changed", self.received);
        self.received += 1;
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        self.confirmed += 1;
        if self.confirmed == self.count {
            cx.close(cx.connection_of(tracker.sender()).unwrap());
            self.listener.take().into_iter().for_each(|listener| cx.close(listener));
        }
    }
}
