//! Sends requests to a service, one at a time, and prints its responses.

use std::{collections::VecDeque, process::ExitCode};

use amqp1_std::{
    Context, Delivery, Dynamic, Handler, Knobs, Link, Message, ReceiverId, SenderId, Str, Tracker, Url,
    types::{DeliveryState, MessageId},
};

struct Client {
    url: Url,
    requests: VecDeque<String>,
    /// Where responses come, once the peer has made that node.
    reply_to: Option<Str>,
    sender: Option<SenderId>,
    receiver: Option<ReceiverId>,
    /// How many requests were sent: the id of the last one.
    sent: u64,
}

impl Client {
    fn next_request(&mut self, cx: &mut Context<'_>) {
        let (Some(sender), Some(reply_to), Some(request)) =
            (self.sender, &self.reply_to, self.requests.front())
        else {
            return;
        };
        self.sent += 1;
        let message = Message::from(request.as_str())
            .with_id(self.sent)
            .with_correlation_id(self.sent)
            .with_reply_to(reply_to.clone());
        if let Err(refused) = cx.send(sender, &message) {
            cx.fail(refused);
        }
    }
}

impl Handler for Client {
    fn knobs(&self) -> Knobs {
        Knobs { peer_close_is_error: true, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let connection = cx.connect(&self.url);
        self.sender = Some(cx.create_sender(connection, self.url.address()));
        self.receiver = Some(cx.create_receiver(connection, Dynamic));
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, link: Link) {
        if link.receiver().is_none() || link.receiver() != self.receiver {
            return;
        }
        match cx.remote_address(link) {
            Some(address) => self.reply_to = Some(address.into()),
            None => return cx.fail("the peer has made no address for responses"),
        }
        self.next_request(cx);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let Ok(response) = delivery.decode() else { return cx.fail("the response is no message") };
        // A response to something else, from one who knows the address, is none of ours. Not all servers name the request.
        if response.correlation_id().is_some_and(|id| *id != MessageId::from(self.sent)) {
            return;
        }
        let Some(request) = self.requests.pop_front() else { return };
        amqp1_examples::print(format_args!("{request} => {}", response.body));
        if self.requests.is_empty() {
            cx.close(delivery.connection());
        } else {
            self.next_request(cx);
        }
    }

    fn on_settled(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if tracker.state() != Some(&DeliveryState::Accepted) {
            cx.fail(amqp1_examples::refusal(tracker));
        }
    }
}

/// Sends requests to a service and prints its responses.
#[derive(clap::Parser)]
struct Options {
    /// The service
    #[arg(short, long, value_name = "URL", default_value = "localhost:5672/examples", value_parser = amqp1_examples::node)]
    address: Url,
    /// What to ask; without any, four lines of a poem
    requests: Vec<String>,
}

const POEM: [&str; 4] = [
    "Twas brillig, and the slithy toves",
    "Did gire and gymble in the wabe.",
    "All mimsy were the borogroves,",
    "And the mome raths outgrabe.",
];

fn main() -> ExitCode {
    let Options { address, requests } = amqp1_examples::arguments();
    let requests =
        if requests.is_empty() { POEM.map(str::to_owned).into() } else { VecDeque::from(requests) };
    amqp1_examples::run(Client {
        url: address,
        requests,
        reply_to: None,
        sender: None,
        receiver: None,
        sent: 0,
    })
}
