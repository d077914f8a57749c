//! The program that receives.

use std::{cell::RefCell, rc::Rc, time::Duration};

use amqp1_engine::{
    Instant,
    container::{
        AtLeastOnce, AtMostOnce, Context, Delivery, Handler, Knobs, LinkOption, LinkSettings, ReceiverId,
        TaskId,
    },
};
use amqp1_tests::Rng;

use crate::{
    broker,
    ledger::{Guarantee, Ledger},
};

/// Longer than the broker takes to find out that a connection is lost, and to give to another what that had not accepted.
const QUIET: Duration = Duration::from_secs(30);

/// Receives until nothing has come for a while after all was sent.
pub(crate) struct Consumer {
    ledger: Rc<RefCell<Ledger>>,
    prefetch: u32,
    receiver: Option<ReceiverId>,
    last: Instant,
}

impl Consumer {
    pub(crate) fn new(ledger: &Rc<RefCell<Ledger>>, seed: u64) -> Self {
        let prefetch = Rng::new(seed).below(20) as u32 + 1;
        Self { ledger: ledger.clone(), prefetch, receiver: None, last: Instant::ZERO }
    }
}

impl Handler for Consumer {
    fn knobs(&self) -> Knobs {
        Knobs { prefetch: self.prefetch, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        let guarantee = self.ledger.borrow().guarantee;
        let options = move |link: &mut LinkSettings| match guarantee {
            Guarantee::AtMostOnce => AtMostOnce.apply(link),
            Guarantee::AtLeastOnce | Guarantee::Reported => AtLeastOnce.apply(link),
        };
        self.receiver = Some(cx.create_receiver(broker(), options));
        cx.set_timer(QUIET);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = delivery.decode().expect("a message");
        let Some(amqp1_engine::types::MessageId::Ulong(number)) = message.id() else { panic!("{message:?}") };
        self.ledger.borrow_mut().received[*number as usize] += 1;
        self.last = cx.now();
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: TaskId) {
        if !self.ledger.borrow().has_sent_all {
            self.last = cx.now();
        }
        if cx.now().duration_since(self.last) < QUIET {
            cx.set_timer(QUIET);
        } else if let Some(connection) = self.receiver.take().and_then(|receiver| cx.connection_of(receiver))
        {
            cx.close(connection);
        }
    }
}
