//! An auditor: reads what one engine receives and writes, and checks each frame it writes against the rules of §2.
//!
//! It keeps books of its own, from the frames alone, and so finds what two engines of the same making would forgive
//! each other: a window or credit that is overdrawn, an id that skips, a frame on a handle that is detached.

use std::collections::{BTreeMap, BTreeSet};

use amqp1_engine::{
    Serial,
    types::{Attach, Begin, DeliveryTag, Disposition, Flow, Handle, Open, Performative, Role, Transfer},
};

use crate::{Frame, Item, Splitter};

/// The books of one engine, kept from the frames alone.
#[derive(Debug, Default)]
pub struct Audit {
    written: Splitter,
    read: Splitter,
    sent_open: bool,
    sent_close: bool,
    received_open: Option<Open>,
    /// By our channel.
    sessions: BTreeMap<u16, Session>,
    /// From the peer's channels to ours.
    channels: BTreeMap<u16, u16>,
    /// The channel of our last begin.
    last_begun: Option<u16>,
    /// Begins of the peer that wait for our answer, by its channel, and what came for their sessions meanwhile.
    begun: BTreeMap<u16, (Begin, Vec<Performative>)>,
}

#[derive(Debug)]
struct Session {
    /// Our transfer-ids.
    initial: Serial,
    next_transfer: Serial,
    /// What the peer still takes.
    window: u32,
    next_delivery: Option<Serial>,
    handle_max: u32,
    /// By our handle.
    links: BTreeMap<u32, Link>,
    /// From the peer's handle to our link's name and role.
    peers: BTreeMap<u32, (String, Role)>,
    /// Credit for senders that we have not attached yet, by name, and what of it was taken back.
    early: BTreeMap<String, (u32, u32)>,
    /// Our deliveries that nobody has settled: the handle and tag of each.
    unsettled: BTreeMap<u32, (u32, DeliveryTag)>,
    /// How many deliveries the peer has begun, counted by id.
    received: Option<Serial>,
    /// The peer is known: its begin has arrived.
    mapped: bool,
}

#[derive(Debug)]
struct Link {
    name: String,
    role: Role,
    count: Serial,
    initial: Serial,
    credit: u32,
    /// Credit that was taken back while what was sent on it may not have left yet.
    withdrawn: u32,
    unfinished: Option<u32>,
}

type Verdict = Result<(), String>;

/// Fails with a text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl Audit {
    /// Takes bytes that the engine has been given; frames come back for the trace.
    pub fn received(&mut self, bytes: &[u8]) -> Vec<Item> {
        self.read.push(bytes);
        let items: Vec<_> = std::iter::from_fn(|| self.read.next_item()).collect();
        for item in &items {
            if let Item::Frame(frame) = item {
                self.learn(frame);
            }
        }
        items
    }

    /// Takes bytes that the engine has written; frames come back for the trace, and what is wrong with the last.
    pub fn sent(&mut self, bytes: &[u8]) -> (Vec<Item>, Verdict) {
        self.written.push(bytes);
        let mut items = Vec::new();
        while let Some(item) = self.written.next_item() {
            let verdict = match &item {
                Item::Frame(frame) => self.judge(frame),
                Item::Malformed(reason, _) => Err(reason.clone()),
                Item::Heartbeat(_) if self.sent_close => Err("an empty frame after the close".into()),
                Item::Heartbeat(_) | Item::Header(_) | Item::Sasl(_) => Ok(()),
            };
            items.push(item);
            if verdict.is_err() {
                return (items, verdict);
            }
        }
        (items, Ok(()))
    }

    /// All that the engine had to write has left, and it has looked at all that it was given.
    pub fn flushed(&mut self) {
        for link in self.sessions.values_mut().flat_map(|session| session.links.values_mut()) {
            link.withdrawn = 0;
        }
    }

    /// The channel of our last begin.
    pub(crate) const fn last_begun(&self) -> Option<u16> {
        self.last_begun
    }

    /// What the peer takes of us on the session of this channel, by the books.
    pub(crate) fn window(&self, channel: u16) -> Option<u32> {
        self.sessions.get(&channel).filter(|session| session.mapped).map(|session| session.window)
    }

    /// The credit of our sender of this name, by the books.
    pub(crate) fn credit(&self, name: &str) -> Option<u32> {
        let links = self.sessions.values().flat_map(|session| session.links.values());
        links.into_iter().find(|link| link.name == name && link.role == Role::Sender).map(|link| link.credit)
    }

    /// Our deliveries that were settled by neither side, by the books.
    pub(crate) fn unsettled(&self) -> usize {
        self.sessions.values().map(|session| session.unsettled.len()).sum()
    }

    fn judge(&mut self, frame: &Frame) -> Verdict {
        ensure!(!self.sent_close, "a frame after the close");
        let limit = self.received_open.as_ref().map_or(512, |open| open.max_frame_size as usize);
        let size = frame.encode().len();
        ensure!(size <= limit, "a frame of {size} bytes, the peer takes {limit}");
        if let Performative::Open(_) = &frame.performative {
            ensure!(!self.sent_open && frame.channel == 0, "a second open, or one on a channel");
            self.sent_open = true;
            return Ok(());
        }
        ensure!(self.sent_open, "a frame before the open");
        match &frame.performative {
            Performative::Begin(begin) => return self.judge_begin(frame.channel, begin),
            Performative::Close(_) => {
                self.sent_close = true;
                return Ok(());
            }
            _ => {}
        }
        let Some(session) = self.sessions.get_mut(&frame.channel) else {
            return Err(format!("a frame on channel {}, which has no session", frame.channel));
        };
        match &frame.performative {
            Performative::Attach(attach) => session.judge_attach(attach),
            Performative::Flow(flow) => session.judge_flow(flow),
            Performative::Transfer(transfer) => session.judge_transfer(transfer),
            Performative::Disposition(disposition) => session.judge_disposition(disposition),
            Performative::Detach(detach) => {
                let handle = detach.handle.0;
                ensure!(session.links.remove(&handle).is_some(), "a detach of handle {handle}, not attached");
                session.unsettled.retain(|_, (at, _)| *at != handle);
                Ok(())
            }
            Performative::End(_) => {
                // What the peer still sends for it counts for no session that gets our channel next.
                self.sessions.remove(&frame.channel);
                self.channels.retain(|_, ours| *ours != frame.channel);
                Ok(())
            }
            Performative::Open(_) | Performative::Begin(_) | Performative::Close(_) => Ok(()),
        }
    }

    fn judge_begin(&mut self, channel: u16, begin: &Begin) -> Verdict {
        let max = self.received_open.as_ref().map_or(u16::MAX, |open| open.channel_max);
        ensure!(channel <= max, "a begin on channel {channel}, the peer takes {max}");
        ensure!(!self.sessions.contains_key(&channel), "a begin on channel {channel}, which is in use");
        let mut session = Session {
            initial: begin.next_outgoing_id,
            next_transfer: begin.next_outgoing_id,
            window: 0,
            next_delivery: None,
            handle_max: u32::MAX,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            early: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            received: None,
            mapped: false,
        };
        let mut waiting = Vec::new();
        if let Some(theirs) = begin.remote_channel {
            let Some((remote, frames)) = self.begun.remove(&theirs) else {
                return Err(format!("an answer to a begin on channel {theirs}, which there was not"));
            };
            session.begun(&remote);
            self.channels.insert(theirs, channel);
            waiting = frames;
        }
        for performative in &waiting {
            session.learn(performative);
        }
        self.sessions.insert(channel, session);
        self.last_begun = Some(channel);
        Ok(())
    }

    fn learn(&mut self, frame: &Frame) {
        match &frame.performative {
            Performative::Open(open) => self.received_open = Some((**open).clone()),
            Performative::Begin(begin) => match begin.remote_channel {
                None => {
                    self.begun.insert(frame.channel, ((**begin).clone(), Vec::new()));
                }
                Some(ours) => {
                    self.channels.insert(frame.channel, ours);
                    if let Some(session) = self.sessions.get_mut(&ours) {
                        session.begun(begin);
                    }
                }
            },
            Performative::End(_) => {
                // A begin that was not answered still will be.
                self.channels.remove(&frame.channel);
            }
            Performative::Close(_) => {}
            other => {
                if let Some((_, waiting)) = self.begun.get_mut(&frame.channel) {
                    waiting.push(other.clone());
                } else if let Some(session) =
                    self.channels.get(&frame.channel).and_then(|ours| self.sessions.get_mut(ours))
                {
                    session.learn(other);
                }
            }
        }
    }
}

impl Session {
    fn begun(&mut self, begin: &Begin) {
        let in_flight = self.next_transfer.distance_from(self.initial).unsigned_abs();
        self.window = begin.incoming_window.saturating_sub(in_flight);
        self.handle_max = begin.handle_max;
        self.mapped = true;
    }

    fn judge_attach(&mut self, attach: &Attach) -> Verdict {
        let handle = attach.handle.0;
        ensure!(handle <= self.handle_max, "handle {handle}, the peer takes {}", self.handle_max);
        ensure!(!self.links.contains_key(&handle), "an attach with handle {handle}, which is in use");
        ensure!(
            (attach.role == Role::Sender) == attach.initial_delivery_count.is_some(),
            "an initial-delivery-count of a receiver, or none of a sender"
        );
        let initial = attach.initial_delivery_count.unwrap_or_default();
        let (credit, withdrawn) = self.early.remove(attach.name.as_str()).unwrap_or_default();
        let link = Link {
            name: attach.name.to_string(),
            role: attach.role,
            count: initial,
            initial,
            credit,
            withdrawn,
            unfinished: None,
        };
        self.links.insert(handle, link);
        Ok(())
    }

    fn judge_flow(&mut self, flow: &Flow) -> Verdict {
        let (said, known) = (flow.next_outgoing_id, self.next_transfer);
        ensure!(said == known, "a flow with next-outgoing-id {said}, the next transfer is {known}");
        // It may have been missing when the flow was made, which can be long before it leaves.
        ensure!(self.mapped || flow.next_incoming_id.is_none(), "a next-incoming-id before the begin");
        let Some(handle) = flow.handle else {
            let bare = flow.delivery_count.is_none() && flow.link_credit.is_none() && !flow.drain;
            ensure!(bare, "link state without a handle");
            return Ok(());
        };
        let Some(link) = self.links.get_mut(&handle.0) else {
            return Err(format!("a flow for handle {handle}, not attached"));
        };
        if link.role == Role::Sender {
            let count = flow.delivery_count.ok_or("a sender's flow without delivery-count")?;
            let advanced = count.distance_from(link.count);
            let advanced = u32::try_from(advanced).unwrap_or(u32::MAX);
            let within = advanced <= link.credit.saturating_add(link.withdrawn);
            ensure!(within, "a sender's delivery-count went from {} to {count}", link.count);
            link.count = count;
            link.withdrawn -= advanced.saturating_sub(link.credit);
            link.credit = link.credit.saturating_sub(advanced);
        }
        Ok(())
    }

    fn judge_transfer(&mut self, transfer: &Transfer) -> Verdict {
        let handle = transfer.handle.0;
        ensure!(self.window > 0, "a transfer beyond the peer's window");
        self.window -= 1;
        self.next_transfer = self.next_transfer.next();
        let Some(link) = self.links.get_mut(&handle) else {
            return Err(format!("a transfer on handle {handle}, not attached"));
        };
        ensure!(link.role == Role::Sender, "a transfer on a link that we receive on");
        let id = match link.unfinished {
            Some(id) => {
                let bare = [
                    transfer.delivery_id.is_none(),
                    transfer.delivery_tag.is_none(),
                    transfer.message_format.is_none(),
                ];
                ensure!(bare == [true; 3], "a continuation that repeats id, tag or format");
                id
            }
            None => {
                let id = transfer.delivery_id.ok_or("a first transfer without delivery-id")?;
                let tag = transfer.delivery_tag.ok_or("a first transfer without delivery-tag")?;
                ensure!(transfer.message_format.is_some(), "a first transfer without message-format");
                let follows = self.next_delivery.is_none_or(|next| next == id);
                ensure!(follows, "delivery-id {id} does not follow");
                self.next_delivery = Some(id.next());
                if link.credit > 0 {
                    link.credit -= 1;
                } else {
                    ensure!(link.withdrawn > 0, "a delivery without credit");
                    link.withdrawn -= 1;
                }
                link.count = link.count.next();
                let tags: BTreeSet<_> =
                    self.unsettled.values().filter(|(at, _)| *at == handle).map(|(_, tag)| *tag).collect();
                ensure!(!tags.contains(&tag), "the tag {tag:?} is of an unsettled delivery");
                if transfer.settled != Some(true) {
                    self.unsettled.insert(id.get(), (handle, tag));
                }
                id.get()
            }
        };
        if transfer.aborted || transfer.settled == Some(true) {
            self.unsettled.remove(&id);
        }
        link.unfinished = (transfer.more && !transfer.aborted).then_some(id);
        Ok(())
    }

    fn judge_disposition(&mut self, disposition: &Disposition) -> Verdict {
        let first = disposition.first;
        let last = disposition.last.unwrap_or(first);
        ensure!(!last.precedes(first), "a disposition from {first} to {last}");
        if disposition.role == Role::Receiver {
            let known = self.received.is_some_and(|received| !received.precedes(last));
            ensure!(known, "a disposition of delivery {last}, which has not arrived");
        } else {
            let known = self.next_delivery.is_some_and(|next| last.precedes(next));
            ensure!(known, "a disposition of delivery {last}, which was not sent");
            self.settle(disposition);
        }
        Ok(())
    }

    /// Takes what a disposition says of our own deliveries.
    fn settle(&mut self, disposition: &Disposition) {
        if disposition.settled {
            let (first, last) = (disposition.first, disposition.last.unwrap_or(disposition.first));
            self.unsettled.retain(|id, _| {
                let id = Serial::new(*id);
                id.precedes(first) || last.precedes(id)
            });
        }
    }

    fn learn(&mut self, performative: &Performative) {
        match performative {
            Performative::Attach(attach) => {
                let ours = if attach.role == Role::Sender { Role::Receiver } else { Role::Sender };
                self.early.remove(attach.name.as_str());
                self.peers.insert(attach.handle.0, (attach.name.to_string(), ours));
            }
            Performative::Detach(detach) => {
                self.peers.remove(&detach.handle.0);
            }
            Performative::Flow(flow) => self.learn_flow(flow),
            Performative::Transfer(transfer) => {
                self.received = transfer.delivery_id.or(self.received);
            }
            Performative::Disposition(disposition) if disposition.role == Role::Receiver => {
                self.settle(disposition);
            }
            _ => {}
        }
    }

    fn learn_flow(&mut self, flow: &Flow) {
        let seen = flow.next_incoming_id.unwrap_or(self.initial);
        let in_flight = self.next_transfer.distance_from(seen).unsigned_abs();
        self.window = flow.incoming_window.saturating_sub(in_flight);
        let link = flow.handle.and_then(|Handle(handle)| self.peers.get(&handle));
        let Some((name, Role::Sender)) = link else { return };
        let named = |link: &&mut Link| link.name == *name && link.role == Role::Sender;
        if let Some(link) = self.links.values_mut().find(named) {
            let seen = flow.delivery_count.unwrap_or(link.initial);
            let in_flight = link.count.distance_from(seen).max(0).unsigned_abs();
            let credit = flow.link_credit.unwrap_or(0).saturating_sub(in_flight);
            link.withdrawn += link.credit.saturating_sub(credit);
            link.credit = credit;
        } else {
            let (credit, withdrawn) = self.early.entry(name.clone()).or_default();
            let granted = flow.link_credit.unwrap_or(0);
            *withdrawn += credit.saturating_sub(granted);
            *credit = granted;
        }
    }
}
