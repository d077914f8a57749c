//! The program that receives.

use std::{cell::RefCell, rc::Rc, time::Duration};

use amqp1_engine::{
    Instant,
    container::{
        AtLeastOnce, AtMostOnce, ConnectionId, Context, Delivery, DeliveryId, Disconnected, ExactlyOnce,
        Handler, Knobs, Link, LinkOption, LinkSettings, ReceiverId, TaskId,
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
    rng: Rng,
    prefetch: u32,
    listens: bool,
    receiver: Option<ReceiverId>,
    is_attached: bool,
    last: Instant,
    quiet: Option<TaskId>,
    /// Messages that are accepted later, if that is still possible then.
    held: Vec<(DeliveryId, usize)>,
}

impl Consumer {
    /// One that connects, or one to which the producer connects.
    pub(crate) fn new(ledger: &Rc<RefCell<Ledger>>, seed: u64, listens: bool) -> Self {
        let mut rng = Rng::new(seed);
        let is_large = ledger.borrow().guarantee == Guarantee::ExactlyOnce && rng.one_in(2);
        let prefetch = rng.below(if is_large { 100 } else { 20 }) as u32 + 1;
        Self {
            ledger: ledger.clone(),
            rng,
            prefetch,
            listens,
            receiver: None,
            is_attached: false,
            last: Instant::ZERO,
            quiet: None,
            held: Vec::new(),
        }
    }

    /// A message counts as received when it is accepted: what is not will come again.
    fn accept(&self, cx: &mut Context<'_>, id: DeliveryId, number: usize) {
        if cx.accept(id).is_ok() {
            self.ledger.borrow_mut().received[number] += 1;
        }
    }
}

impl Handler for Consumer {
    fn knobs(&self) -> Knobs {
        let auto_accept = self.ledger.borrow().guarantee != Guarantee::ExactlyOnce;
        Knobs { prefetch: self.prefetch, auto_accept, ..Knobs::default() }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        if self.listens {
            cx.listen(broker());
            return;
        }
        let guarantee = self.ledger.borrow().guarantee;
        let options = move |link: &mut LinkSettings| match guarantee {
            Guarantee::AtMostOnce => AtMostOnce.apply(link),
            Guarantee::AtLeastOnce | Guarantee::Reported => AtLeastOnce.apply(link),
            Guarantee::ExactlyOnce => ExactlyOnce.apply(link),
        };
        self.receiver = Some(cx.create_receiver(broker(), options));
        self.quiet = Some(cx.set_timer(QUIET));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        let message = delivery.decode().expect("a message");
        let Some(amqp1_engine::types::MessageId::Ulong(number)) = message.id() else { panic!("{message:?}") };
        let number = *number as usize;
        self.last = cx.now();
        if self.ledger.borrow().guarantee != Guarantee::ExactlyOnce {
            self.ledger.borrow_mut().received[number] += 1;
        } else if self.rng.one_in(3) {
            self.held.push((delivery.id(), number));
            cx.set_timer(Duration::from_millis(self.rng.below(300) as u64));
        } else {
            self.accept(cx, delivery.id(), number);
        }
    }

    fn on_link_opened(&mut self, cx: &mut Context<'_>, _: Link) {
        self.is_attached = true;
        self.last = cx.now();
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, _: ConnectionId, _: &Disconnected) {
        self.is_attached = false;
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, timer: TaskId) {
        if self.quiet != Some(timer) {
            for (id, number) in std::mem::take(&mut self.held) {
                self.accept(cx, id, number);
            }
            return;
        }
        // While it is not connected it has no say in what comes.
        if !self.ledger.borrow().has_sent_all || !self.is_attached {
            self.last = cx.now();
        }
        if cx.now().duration_since(self.last) < QUIET {
            self.quiet = Some(cx.set_timer(QUIET));
        } else if let Some(connection) = self.receiver.take().and_then(|receiver| cx.connection_of(receiver))
        {
            cx.close(connection);
        }
    }
}
