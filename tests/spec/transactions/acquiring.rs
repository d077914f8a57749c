//! Messages acquired in transactions (§4.4.3).

use super::*;

const ACQUIRING: u32 = 3;

/// A controller with open transactions `t` and `u` whose further receiver, without a prefetch, acquires four messages in `t`.
struct Acquiring {
    scripted: Scripted,
    receiver: ReceiverId,
}

impl Acquiring {
    #[track_caller]
    fn new() -> Self {
        let mut scripted = Scripted::new();
        scripted.open(b"t");
        scripted.open(b"u");
        scripted.0.run(|program, cx| {
            let options = ("q", Name("acquiring"), Prefetch(0));
            let receiver = cx.create_receiver(program.connection.unwrap(), options);
            let mut transaction = cx.transaction(program.declared[0]).unwrap();
            assert_eq!(transaction.acquire(receiver, 4), Ok(()));
            program.acquiring = Some(receiver);
        });
        expect!(scripted.0, Attach { handle: Handle(ACQUIRING), .. });
        scripted.0.send(attach("acquiring", ACQUIRING, Role::Sender));
        let properties = expect!(scripted.0, Flow { handle: Some(Handle(ACQUIRING)), link_credit: Some(4), properties: Some(properties), .. }
            => properties);
        assert_eq!(properties.get("txn-id"), Some(ValueRef::Binary(b"t")));
        let receiver = scripted.0.handler().acquiring.unwrap();
        Self { scripted, receiver }
    }

    /// A message of the transaction arrives.
    fn message(&mut self, delivery_id: u32) {
        let state = Some(id(b"t").state(None).into());
        let transfer = Transfer { state, ..first(ACQUIRING, delivery_id) };
        self.scripted.0.send(transfer.with(encoded(&Message::from("x"))));
    }

    /// The rest of the credit is asked back, and given.
    #[track_caller]
    fn drain(&mut self) {
        let receiver = self.receiver;
        self.scripted.0.run(move |_, cx| cx.drain(receiver));
        expect!(self.scripted.0, Flow { handle: Some(Handle(ACQUIRING)), drain: true, .. });
        let peer = &mut self.scripted.0;
        let given_back = Flow {
            next_incoming_id: Some(Serial::new(peer.received_transfers(0))),
            handle: Some(Handle(ACQUIRING)),
            delivery_count: Some(Serial::new(4)),
            link_credit: Some(0),
            drain: true,
            ..flow(1_000, peer.sent_transfers(0), 1_000)
        };
        peer.send(given_back);
    }
}

fn plain(first: u32, state: DeliveryState) -> Disposition {
    settled(Role::Receiver, first, state)
}

fn in_transaction(first: u32, outcome: DeliveryState) -> Disposition {
    Disposition { settled: false, ..plain(first, presumed(outcome)) }
}

//= 4.4.4.3-01
#[test]
fn t_03_an_outcome_is_work_of_the_transaction_in_which_the_message_was_acquired() {
    let mut acquiring = Acquiring::new();
    (0..3).for_each(|number| acquiring.message(number));
    acquiring.scripted.0.run(|program, cx| {
        let [one, two, three] = program.received[..] else { panic!("{:?}", program.received) };
        let elsewhere = cx.transaction(program.declared[1]).unwrap().accept(one);
        assert_eq!(elsewhere, Err(Misuse::StateNotAllowed));
        cx.accept(one).unwrap();
        cx.transaction(program.declared[0]).unwrap().release(two).unwrap();
        cx.reject(three, None).unwrap();
    });
    let peer = &mut acquiring.scripted.0;
    peer.expect(in_transaction(0, DeliveryState::Accepted));
    peer.expect(in_transaction(1, DeliveryState::Released));
    peer.expect(in_transaction(2, DeliveryState::Rejected(None)));
    peer.silent();
}

//= 4.4.4.3-01
#[test]
fn t_03_so_is_what_is_told_automatically() {
    let mut acquiring = Acquiring::new();
    acquiring.scripted.0.handler().auto_accept = true;
    acquiring.message(0);
    acquiring.scripted.0.expect(in_transaction(0, DeliveryState::Accepted));
    acquiring.scripted.0.silent();
}

//= 4.4.3-04
#[test]
fn t_03_no_credit_is_left_when_the_transaction_ends() {
    for fail in [false, true] {
        let mut acquiring = Acquiring::new();
        acquiring.message(0);
        acquiring.scripted.0.run(move |program, cx| {
            let transaction = cx.transaction(program.declared[0]).unwrap();
            let ended = if fail { transaction.abort() } else { transaction.commit() };
            assert_eq!(ended, Err(SendRefused::Impossible(SendError::Misuse(Misuse::CreditLeft))));
            // The other has nothing to do with it.
            cx.transaction(program.declared[1]).unwrap().abort().unwrap();
        });
        acquiring.scripted.discharge_of(b"u", true);
        acquiring.drain();
        acquiring.scripted.discharge(0, b"t", fail);
    }
}

//= 4.4.4.3-01
#[test]
fn t_03_an_outcome_told_while_the_discharge_waits_goes_before_it() {
    let mut acquiring = Acquiring::new();
    acquiring.message(0);
    acquiring.drain();
    let peer = &mut acquiring.scripted.0;
    let window = |peer: &Peer<Contained<Program>>, incoming_window| Flow {
        next_incoming_id: Some(Serial::new(peer.received_transfers(0))),
        ..flow(incoming_window, peer.sent_transfers(0), 1_000)
    };
    peer.send(window(peer, 0));
    acquiring.scripted.start_discharge(0, true);
    let peer = &mut acquiring.scripted.0;
    peer.silent();
    peer.run(|program, cx| cx.accept(program.received[0]).unwrap());
    peer.expect(in_transaction(0, DeliveryState::Accepted));
    // As it does where both are written together.
    peer.run(|program, cx| cx.release(program.received[0]).unwrap());
    peer.send(window(peer, 10));
    peer.expect(in_transaction(0, DeliveryState::Released));
    acquiring.scripted.discharge_of(b"t", true);
}

#[test]
fn t_03_an_outcome_told_behind_the_discharge_is_no_work_of_it_whatever_else_waits() {
    let mut acquiring = Acquiring::new();
    acquiring.message(0);
    acquiring.drain();
    // The coordinator takes one message more.
    acquiring.scripted.grant(CONTROL, 3);
    acquiring.scripted.0.run(|program, cx| {
        cx.transaction(program.declared[0]).unwrap().commit().unwrap();
        cx.declare_transaction(program.connection.unwrap());
        cx.accept(program.received[0]).unwrap();
    });
    acquiring.scripted.discharge_of(b"t", false);
    acquiring.scripted.0.expect(plain(0, DeliveryState::Accepted));
    acquiring.scripted.0.silent();
}

//= 4.4.2-02 4.4.4.3-01
#[test]
fn t_03_no_other_transaction_takes_part_before_the_discharge_is_answered() {
    let mut acquiring = Acquiring::new();
    acquiring.message(0);
    let receiver = acquiring.receiver;
    acquiring.scripted.0.run(move |program, cx| {
        let taken = cx.transaction(program.declared[1]).unwrap().acquire(receiver, 0);
        assert_eq!(taken, Err(Misuse::CreditLeft));
    });
    acquiring.drain();
    let asked = acquiring.scripted.discharge(0, b"t", false);
    let accept = |program: &mut Program, cx: &mut Context<'_>| {
        cx.transaction(program.declared[1]).unwrap().accept(program.received[0])
    };
    acquiring.scripted.0.run(move |program, cx| {
        assert_eq!(accept(program, cx), Err(Misuse::StateNotAllowed));
        // This has no credit, and can go on.
        assert_eq!(cx.transaction(program.declared[1]).unwrap().acquire(receiver, 1), Ok(()));
    });
    expect!(acquiring.scripted.0, Flow { handle: Some(Handle(ACQUIRING)), link_credit: Some(1), .. });
    acquiring.scripted.answer(asked, DeliveryState::Accepted);
    acquiring.scripted.log(&["committed"]);
    acquiring.scripted.0.run(move |program, cx| assert_eq!(accept(program, cx), Ok(())));
    let state = Some(id(b"u").state(Some(DeliveryState::Accepted)));
    acquiring.scripted.0.expect(Disposition { state, ..disposition(Role::Receiver, 0) });
}

#[test]
fn t_03_a_receiver_that_is_gone_has_no_credit_left() {
    let mut acquiring = Acquiring::new();
    let receiver = acquiring.receiver;
    acquiring.scripted.0.run(move |_, cx| cx.close(receiver));
    expect!(acquiring.scripted.0, Detach { handle: Handle(ACQUIRING), .. });
    acquiring.scripted.0.send(Detach { closed: true, ..detach(ACQUIRING) });
    acquiring.scripted.log(&["link closed"]);
    acquiring.scripted.discharge(0, b"t", true);
}

#[test]
fn t_03_what_was_acquired_when_the_transaction_commits_waits_for_its_outcome() {
    let mut acquiring = Acquiring::new();
    (0..3).for_each(|number| acquiring.message(number));
    acquiring.drain();
    acquiring.scripted.0.run(|program, cx| cx.accept(program.received[0]).unwrap());
    acquiring.scripted.0.expect(in_transaction(0, DeliveryState::Accepted));
    let asked = acquiring.scripted.discharge(0, b"t", false);
    // What is said behind the discharge is no work of it any more.
    acquiring.scripted.0.run(|program, cx| cx.release(program.received[1]).unwrap());
    acquiring.scripted.0.expect(plain(1, DeliveryState::Released));
    acquiring.scripted.answer(asked, DeliveryState::Accepted);
    acquiring.scripted.log(&["committed"]);
    acquiring.scripted.0.expect(plain(0, DeliveryState::Accepted));
    acquiring.scripted.0.silent();
    acquiring.scripted.0.run(|program, cx| cx.accept(program.received[2]).unwrap());
    acquiring.scripted.0.expect(plain(2, DeliveryState::Accepted));
}

#[test]
fn t_03_what_was_acquired_when_the_transaction_is_rolled_back_is_over() {
    for (fail, answer) in [(true, DeliveryState::Accepted), (false, rejected(condition::TRANSACTION_TIMEOUT))]
    {
        let mut acquiring = Acquiring::new();
        (0..3).for_each(|number| acquiring.message(number));
        acquiring.drain();
        acquiring.scripted.0.run(|program, cx| cx.accept(program.received[0]).unwrap());
        acquiring.scripted.0.expect(in_transaction(0, DeliveryState::Accepted));
        let asked = acquiring.scripted.discharge(0, b"t", fail);
        // The resource settles one of them itself.
        acquiring.scripted.0.send(Disposition { settled: true, ..disposition(Role::Sender, 1) });
        acquiring.scripted.answer(asked, answer);
        acquiring.scripted.0.expect(plain(0, DeliveryState::Released));
        acquiring.scripted.0.expect(plain(2, DeliveryState::Released));
        acquiring.scripted.0.run(|program, cx| {
            for delivery in program.received.clone() {
                assert_eq!(cx.accept(delivery), Err(Misuse::Gone));
            }
        });
        acquiring.scripted.0.silent();
    }
}
