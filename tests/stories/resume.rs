//! A container whose link is resumed by a scripted peer (§2.6.13): a program hears of each message once, and what is left to be
//! said of it is said.

use std::any::Any;

use amqp1_engine::{
    container::{
        Address, ConnectionOptions, Context, Delays, Delivery, DeliveryId, ExactlyOnce, Handler, Link, Name,
        Prefetch, Reconnect, Security, SenderId, Tracker, Unhandled,
    },
    message::Message,
};
use amqp1_tests::{Contained, Task, prelude::*};

/// Makes a link to or from the peer, which it calls `link`, and notes what it hears.
struct Program {
    sends: bool,
    sender: Option<SenderId>,
    log: Vec<String>,
}

impl Program {
    fn note(&mut self, what: &str, tracker: &Tracker) {
        self.log.push(format!("{what} {:?}", tracker.tag().as_bytes()));
    }
}

impl Handler for Program {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        let delays = Delays::Fixed([Duration::ZERO; 3].into());
        let reconnect = Reconnect { delays, ..Reconnect::default() };
        let options =
            ConnectionOptions { reconnect, security: Security::None, ..ConnectionOptions::default() };
        let connection = cx.connect_with(Address::new("peer", 5672), options);
        let named = ("node", Name("link"), ExactlyOnce, Prefetch(4));
        if self.sends {
            self.sender = Some(cx.create_sender(connection, named));
        } else {
            cx.create_receiver(connection, named);
        }
    }

    fn on_link_opened(&mut self, _: &mut Context<'_>, _: Link) {
        self.log.push("opened".into());
    }

    fn on_link_error(&mut self, _: &mut Context<'_>, _: Link, _: &Error) {
        self.log.push("error".into());
    }

    fn on_link_closed(&mut self, _: &mut Context<'_>, _: Link) {
        self.log.push("closed".into());
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        self.log.push(format!("message {:?}", delivery.tag().as_bytes()));
    }

    fn on_accepted(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.note("accepted", tracker);
    }

    fn on_rejected(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.note("rejected", tracker);
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.note("in doubt", tracker);
    }

    fn on_delivery_settled(&mut self, _: &mut Context<'_>, _: DeliveryId) {
        self.log.push("settled".into());
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
        (event.downcast::<Task<Self>>().unwrap())(self, cx);
    }

    fn on_unhandled(&mut self, _: &mut Context<'_>, _: &Unhandled<'_>) {}
}

/// A peer of a program, which has attached its link.
struct Scripted(Peer<Contained<Program>>);

const HANDLE: u32 = 0;

impl Scripted {
    fn new(sends: bool) -> Self {
        let program = Program { sends, sender: None, log: Vec::new() };
        Self(Peer::new(Contained::new(program)))
    }

    /// Opens connection and session, and has the link attached: what the program says of its deliveries.
    #[track_caller]
    fn attached(&mut self) -> Option<Fields> {
        let peer = &mut self.0;
        peer.begin_as_asked(1_000);
        expect!(peer, Attach { handle: Handle(HANDLE), unsettled, .. } => unsettled)
    }

    /// Answers with an attach that says this of the deliveries.
    fn answer(&mut self, unsettled: Option<Fields>) {
        let role = if self.0.handler().sends { Role::Receiver } else { Role::Sender };
        let rcv_settle_mode = ReceiverSettleMode::Second;
        self.0.send(Attach { rcv_settle_mode, unsettled, ..attach("link", HANDLE, role) });
    }

    fn grant(&mut self, delivery_count: u32, credit: u32) {
        let flow = Flow {
            next_incoming_id: Some(Serial::new(self.0.received_transfers(0))),
            handle: Some(Handle(HANDLE)),
            delivery_count: Some(Serial::new(delivery_count)),
            link_credit: Some(credit),
            ..flow(1_000, self.0.sent_transfers(0), 1_000)
        };
        self.0.send(flow);
    }

    /// Ends the connection without a word, and has it made again.
    fn lost(mut self) -> Self {
        self.0.lose();
        self
    }

    fn send(&mut self, number: u8) {
        self.0.run(move |program, cx| {
            cx.send_payload(program.sender.unwrap(), &message(number), 0).unwrap();
        });
    }

    #[track_caller]
    fn transfer(&mut self) -> (Transfer, Bytes) {
        let frame = self.0.expect_frame("Transfer");
        let Performative::Transfer(transfer) = frame.performative else { panic!("{frame:?}") };
        (*transfer, frame.payload)
    }

    /// All that comes: transfers, and the deliveries that are settled.
    fn all(&mut self) -> (Vec<(Transfer, Bytes)>, Vec<Serial>) {
        let (mut transfers, mut settled) = (Vec::new(), Vec::new());
        while let Some(Item::Frame(frame)) = self.0.next_item() {
            match frame.performative {
                Performative::Transfer(transfer) => transfers.push((*transfer, frame.payload)),
                Performative::Disposition(disposition) if disposition.settled => {
                    let last = disposition.last.unwrap_or(disposition.first).get();
                    settled.extend((disposition.first.get()..=last).map(Serial::new));
                }
                _ => {}
            }
        }
        (transfers, settled)
    }

    /// What was noted since.
    #[track_caller]
    fn log(&mut self, expected: &[&str]) {
        let log = std::mem::take(&mut self.0.handler().log);
        assert_eq!(log, expected);
    }
}

fn map(entries: &[(u8, Option<DeliveryState>)]) -> Fields {
    let entries = entries.iter().map(|(tag, state)| {
        let mut bytes = Vec::new();
        state.iter().for_each(|state| state.encode(&mut bytes));
        let state = state.as_ref().map_or(Value::Null, |_| codec::Decode::decode(&bytes).unwrap());
        (Value::Binary(Bytes::copy_from_slice(&[*tag])), state)
    });
    entries.fold(Fields::new(), |map, (tag, state)| map.with(tag, state))
}

fn message(number: u8) -> Bytes {
    let mut bytes = Vec::new();
    Message::new(Bytes::from(vec![number; 100])).encode(&mut bytes);
    bytes.into()
}

const ACCEPTED: Option<DeliveryState> = Some(DeliveryState::Accepted);

/// Eight messages under the tags 0 to 7, none of which has an outcome; 6 and 7 were sent in pieces.
fn eight() -> Scripted {
    let mut scripted = Scripted::new(true);
    assert_eq!(scripted.attached(), None);
    scripted.answer(None);
    scripted.grant(0, 100);
    scripted.0.run(|program, cx| {
        let sender = program.sender.unwrap();
        for number in 0..6 {
            cx.send_payload(sender, &message(number), 0).unwrap();
        }
        for number in 6..8 {
            cx.start_message(sender, message(number), 0).unwrap();
            cx.finish(sender).unwrap();
        }
    });
    for number in 0..6 {
        assert_eq!(scripted.transfer().1, message(number));
    }
    for _ in 6..8 {
        while scripted.transfer().0.more {}
    }
    scripted.log(&["opened"]);
    scripted
}

#[test]
fn l_01_a_sender_goes_on_with_what_its_receiver_remembers() {
    let mut scripted = eight().lost();
    assert_eq!(scripted.attached(), Some(map(&[0, 1, 2, 3, 4, 5, 6, 7].map(|tag| (tag, None)))));
    let arrived = DeliveryState::Received(Received::new(0, 50));
    scripted.answer(Some(map(&[
        (1, None),
        (2, Some(arrived.clone())),
        (3, ACCEPTED),
        (4, Some(DeliveryState::Rejected(None))),
        (6, None),
    ])));
    scripted.0.silent();
    // A delivery takes credit when it is resumed, and so does what is said of it.
    scripted.log(&["opened"]);
    scripted.grant(0, 100);
    let (transfers, dispositions) = scripted.all();
    let resumed = |number: u64| (Some(DeliveryTag::from(number)), true);
    let named: Vec<_> =
        transfers.iter().map(|(transfer, _)| (transfer.delivery_tag, transfer.resume)).collect();
    assert_eq!(named[..5], [1, 2, 3, 4, 6].map(resumed));
    // The receiver has no record of these, nor of one that was not kept.
    assert_eq!(named[5..], [0, 5].map(|number: u64| (Some(DeliveryTag::from(number)), false)));
    let [whole, rest, accepted, rejected, aborted, again, last] = &transfers[..] else {
        panic!("{transfers:?}")
    };
    assert_eq!((&whole.1[..], &whole.0.state), (&message(1)[..], &None));
    assert_eq!(rest.0.state.as_deref(), Some(&arrived));
    assert!(message(2).ends_with(&rest.1) && (1..message(2).len()).contains(&rest.1.len()));
    assert_eq!((&accepted.1[..], accepted.0.state.as_deref()), (&[][..], ACCEPTED.as_ref()));
    assert_eq!(
        (&rejected.1[..], rejected.0.state.as_deref()),
        (&[][..], Some(&DeliveryState::Rejected(None)))
    );
    assert!(aborted.0.aborted);
    assert_eq!(again.1, message(0));
    let settled = [accepted, rejected].map(|(transfer, _)| transfer.delivery_id.unwrap());
    assert_eq!(dispositions, settled);
    scripted.log(&["accepted [3]", "rejected [4]", "in doubt [6]", "in doubt [7]"]);
    // What was resumed is a delivery like any other.
    assert_eq!(last.1, message(5));
    let ids = [whole, rest, again, last].map(|(transfer, _)| transfer.delivery_id.unwrap().get());
    for id in ids {
        let state = Some(DeliveryState::Accepted);
        scripted.0.send(Disposition { state, ..disposition(Role::Receiver, id) });
    }
    assert_eq!(scripted.all().1.len(), 4);
    scripted.log(&["accepted [1]", "accepted [2]", "accepted [0]", "accepted [5]"]);
    let mut scripted = scripted.lost();
    assert_eq!(scripted.attached(), Some(Fields::new()), "nothing is left");
}

#[test]
fn l_01_a_sender_whose_receiver_knows_nothing_of_the_link_doubts() {
    let mut scripted = eight().lost();
    assert!(scripted.attached().is_some());
    scripted.answer(None);
    scripted.grant(0, 100);
    scripted.0.silent();
    let doubts: Vec<String> = (0..8).map(|tag| format!("in doubt [{tag}]")).collect();
    let told: Vec<&str> = ["opened"].into_iter().chain(doubts.iter().map(String::as_str)).collect();
    scripted.log(&told);
    // The link is as good as new.
    scripted.send(8);
    assert_eq!(scripted.transfer().1, message(8));
}

#[test]
fn l_01_a_link_whose_peer_never_names_all_its_deliveries_is_given_up() {
    let mut scripted = eight().lost();
    assert!(scripted.attached().is_some());
    let answer = || Attach {
        rcv_settle_mode: ReceiverSettleMode::Second,
        incomplete_unsettled: true,
        ..attach("link", HANDLE, Role::Receiver)
    };
    // In the first round one delivery is heard of, in the second none.
    scripted.0.send(Attach { unsettled: Some(map(&[(3, ACCEPTED)])), ..answer() });
    scripted.grant(0, 100);
    let (resumed, settled) = scripted.all();
    assert_eq!((resumed.len(), settled.len()), (1, 1));
    scripted.0.send(detach(HANDLE));
    expect!(scripted.0, Attach { unsettled: Some(unsettled), .. } if unsettled.len() == 7);
    scripted.log(&["opened", "accepted [3]"]);
    for _ in 0..2 {
        scripted.0.send(Attach { unsettled: Some(Fields::new()), ..answer() });
        let detached = expect!(scripted.0, Detach { closed, error, .. } => (closed, error));
        if detached == (false, None) {
            scripted.0.send(detach(HANDLE));
            expect!(scripted.0, Attach { unsettled: Some(unsettled), .. } if unsettled.len() == 7);
            scripted.log(&["opened"]);
            continue;
        }
        assert!(detached.0 && detached.1.unwrap().condition == condition::ILLEGAL_STATE);
        let doubts = [0, 1, 2, 4, 5, 6, 7].map(|tag| format!("in doubt [{tag}]"));
        let told = ["opened", "error", "closed"].into_iter().chain(doubts.iter().map(String::as_str));
        scripted.log(&told.collect::<Vec<_>>());
        return;
    }
    panic!("it goes on and on");
}

#[test]
fn l_01_a_receiver_that_settles_first_is_sent_no_unsettled_map() {
    let mut scripted = Scripted::new(true);
    assert_eq!(scripted.attached(), None);
    // The peer has its own way.
    scripted.0.send(attach("link", HANDLE, Role::Receiver));
    scripted.grant(0, 100);
    scripted.send(0);
    scripted.transfer();
    let mut scripted = scripted.lost();
    assert_eq!(scripted.attached(), None);
    scripted.log(&["opened", "in doubt [0]"]);
}

/// Four messages that the program has accepted, under the tags 0 to 3, none of which the peer has settled.
fn four() -> Scripted {
    let mut scripted = Scripted::new(false);
    assert_eq!(scripted.attached(), None);
    scripted.answer(None);
    expect!(scripted.0, Flow { link_credit: Some(4), .. });
    for number in 0..4 {
        scripted.0.send(first(HANDLE, number).on(0).with(message(number as u8)));
    }
    scripted.all();
    scripted.log(&["opened", "message [0]", "message [1]", "message [2]", "message [3]"]);
    scripted
}

#[test]
fn l_01_a_receiver_goes_on_with_what_its_sender_remembers() {
    let mut scripted = four().lost();
    assert_eq!(scripted.attached(), Some(map(&[0, 1, 2, 3].map(|tag| (tag, ACCEPTED)))));
    // The sender has settled the last, and has sent one more that never arrived.
    scripted.answer(Some(map(&[(0, None), (1, None), (2, ACCEPTED), (9, None)])));
    let mut credit = 0;
    for _ in 0..2 {
        if let Some(Item::Frame(Frame { performative: Performative::Flow(flow), .. })) =
            scripted.0.next_item()
        {
            credit = flow.link_credit.unwrap();
        }
    }
    assert_eq!(credit, 4 + 3, "what is resumed takes credit, and is not handled again");
    for (delivery_id, settled) in [(0, true), (1, false), (2, true)] {
        let resumed = Transfer {
            resume: true,
            settled: settled.then_some(true),
            state: settled.then(|| Box::new(DeliveryState::Accepted)),
            ..first(HANDLE, delivery_id)
        };
        scripted.0.send(resumed.on(0));
    }
    scripted.log(&["opened", "settled", "settled"]);
    // It is not handed over again, but said again.
    expect!(scripted.0, Disposition { role: Role::Receiver, settled: false, state: Some(DeliveryState::Accepted), first, .. } if first.get() == 1);
    scripted.0.send(settled(Role::Sender, 1, DeliveryState::Accepted));
    scripted.log(&["settled"]);
    for number in 3..7 {
        scripted.0.send(first(HANDLE, number).on(0).with(message(0)));
    }
    scripted.log(&["message [3]", "message [4]", "message [5]", "message [6]"]);
}

#[test]
fn l_01_a_receiver_does_as_its_sender_says_of_a_delivery() {
    let mut scripted = four().lost();
    assert!(scripted.attached().is_some());
    scripted.answer(Some(map(&[(0, Some(DeliveryState::Released))])));
    let state = Some(Box::new(DeliveryState::Released));
    scripted.0.send(Transfer { resume: true, state, ..first(HANDLE, 0) }.on(0));
    let (_, settled) = scripted.all();
    assert_eq!(settled, [Serial::new(0)], "the sender waits for that");
}
