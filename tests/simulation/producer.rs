//! The program that sends.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use amqp1_engine::{
    container::{
        AtLeastOnce, AtMostOnce, ConnectionId, Context, Disconnected, ExactlyOnce, Handler, Link, LinkOption,
        LinkSettings, SenderId, TaskId, Tracker,
    },
    message::Message,
    types::{DeliveryState, Error, condition},
};
use amqp1_tests::Rng;
use bytes::Bytes;

use crate::{
    broker,
    ledger::{Guarantee, Ledger},
};

/// Sends numbered messages of all sizes, some when there is credit and some when there is none.
pub(crate) struct Producer {
    ledger: Rc<RefCell<Ledger>>,
    rng: Rng,
    unsent: VecDeque<usize>,
    listens: bool,
    /// The link: where it listens, the last that the consumer has attached.
    sender: Option<SenderId>,
    is_done: bool,
}

impl Producer {
    /// One that connects, or one to which the consumer connects.
    pub(crate) fn new(ledger: &Rc<RefCell<Ledger>>, seed: u64, listens: bool) -> Self {
        let unsent = (0..ledger.borrow().total()).collect();
        Self { ledger: ledger.clone(), rng: Rng::new(seed), unsent, listens, sender: None, is_done: false }
    }

    fn send_next(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(sender) = self.sender else { return false };
        let Some(number) = self.unsent.pop_front() else { return false };
        let padding = match self.rng.below(10) {
            0 => self.rng.below(30_000),
            1..=3 => self.rng.below(3_000),
            _ => self.rng.below(100),
        };
        let body = Bytes::from(vec![number as u8; padding]);
        let message = Message::new(body).with_id(number as u64);
        match cx.send(sender, &message) {
            Ok(tag) => self.ledger.borrow_mut().handed_over(tag, number),
            Err(refused) => {
                assert!(self.listens, "the queue holds all of them: {refused}");
                // The consumer will attach the link again.
                self.unsent.push_front(number);
                return false;
            }
        }
        true
    }

    fn send_some(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.rng.below(8) {
            if !self.send_next(cx) {
                break;
            }
        }
        self.wait(cx);
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        cx.set_timer(Duration::from_millis(self.rng.below(300) as u64 + 1));
    }

    fn close_if_done(&mut self, cx: &mut Context<'_>) {
        let mut ledger = self.ledger.borrow_mut();
        let is_done = match ledger.guarantee {
            Guarantee::AtMostOnce => self.unsent.is_empty(),
            _ => ledger.is_confirmed(),
        };
        self.is_done = is_done;
        if self.listens {
            ledger.has_sent_all = is_done;
        } else if is_done
            && let Some(sender) = self.sender.take()
            && let Some(connection) = cx.connection_of(sender)
        {
            ledger.has_sent_all = true;
            cx.close(connection);
        }
    }
}

impl Handler for Producer {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.wait(cx);
        if self.listens {
            cx.listen(broker());
            return;
        }
        let guarantee = self.ledger.borrow().guarantee;
        let options = move |link: &mut LinkSettings| match guarantee {
            Guarantee::AtMostOnce => AtMostOnce.apply(link),
            Guarantee::AtLeastOnce => AtLeastOnce.apply(link),
            Guarantee::Reported => {}
            Guarantee::ExactlyOnce => ExactlyOnce.apply(link),
        };
        self.sender = Some(cx.create_sender(broker(), options));
    }

    fn on_link_opened(&mut self, _: &mut Context<'_>, link: Link) {
        if self.listens {
            self.sender = link.sender();
        }
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        while cx.credit(sender) > 0 && !self.rng.one_in(5) && self.send_next(cx) {}
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _: TaskId) {
        self.close_if_done(cx);
        if !self.is_done {
            self.send_some(cx);
        }
    }

    fn on_accepted(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        self.ledger.borrow_mut().accepted(tracker.tag());
    }

    fn on_settled(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        assert_eq!(tracker.state(), Some(&DeliveryState::Accepted));
    }

    fn on_disconnected(&mut self, cx: &mut Context<'_>, _: ConnectionId, reason: &Disconnected) {
        // It may be lost while it is being closed, which is when all that had to arrive was confirmed.
        let Some(sender) = self.sender.filter(|_| !self.listens) else { return };
        assert!(reason.reconnects, "{reason}");
        self.ledger.borrow_mut().lost(cx.queued(sender), cx.unsettled(sender));
    }

    fn on_in_doubt(&mut self, _: &mut Context<'_>, tracker: &Tracker) {
        let number = self.ledger.borrow_mut().reported(tracker.tag());
        self.unsent.push_back(number);
    }

    fn on_link_error(&mut self, _: &mut Context<'_>, link: Link, error: &Error) {
        let is_known_later = self.listens && error.condition == condition::LINK_STOLEN;
        assert!(is_known_later, "{link:?}: {error:?}");
    }
}
