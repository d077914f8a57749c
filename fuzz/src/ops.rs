//! Two connections and whatever their users do, in any order: neither may blame the other, an auditor blames none, and
//! no byte gets lost.

use std::collections::BTreeMap;

use amqp1_engine::{
    Config, Connection, DeliveryId, DisconnectReason, Event, Instant, LinkConfig, LinkId, LinkState, Misuse,
    Resumption, SendError, SessionConfig, SessionId, SessionState,
    txn::TxnId,
    types::{DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode},
};
use amqp1_tests::Audit;
use arbitrary::Arbitrary;
use bytes::{Buf, BytesMut};

const NOW: Instant = Instant::ZERO;

/// What is done, by which end.
#[derive(Arbitrary, Debug)]
pub struct Plan {
    /// Added to the least frame size that there is.
    frame_sizes: [u8; 2],
    /// Whether a session with a link in each direction is there to begin with.
    attached: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    by_server: bool,
    act: Act,
}

/// Numbers choose among what there is.
#[derive(Arbitrary, Debug)]
enum Act {
    Begin { incoming_window: u8 },
    AttachSender { session: u8, settled: bool },
    AttachReceiver { session: u8, second: bool },
    AddCredit { link: u8, count: u8 },
    SetCredit { link: u8, count: u8 },
    Drain { link: u8 },
    Send { link: u8, size: u16, settled: bool },
    Post { link: u8, size: u16, settled: bool },
    Start { link: u8, size: u16, settled: bool },
    Write { link: u8, size: u16 },
    Finish { link: u8 },
    Abort { link: u8 },
    Take { delivery: u8 },
    Update { delivery: u8, outcome: Outcome },
    Presume { delivery: u8, outcome: Outcome },
    Settle { delivery: u8 },
    SettleSent { delivery: u8 },
    Detach { link: u8 },
    Resume { link: u8 },
    Close { link: u8 },
    End { session: u8 },
    WriteDispositions { session: u8 },
    Carry { bytes: u16 },
    Poll { events: u8 },
}

#[derive(Arbitrary, Debug)]
enum Outcome {
    Accept,
    Reject,
    Release,
    Modify,
    InTransaction,
}

/// Carries the plan out, then lets everything come to its end.
pub fn ops(plan: &Plan) {
    let [client, server] = plan.frame_sizes.map(|size| 512 + u32::from(size) * 8);
    let mut pair = Pair {
        ends: [
            End::new(Config { max_frame_size: client, ..Config::client("client") }),
            End::new(Config { max_frame_size: server, ..Config::server("server") }),
        ],
        sizes: BTreeMap::new(),
    };
    pair.ends[0].connection.open();
    if plan.attached {
        pair.attach().expect("nothing stands in the way");
    }
    for Step { by_server, act } in &plan.steps {
        // A refusal is a fine answer, too.
        let _ = pair.act(usize::from(*by_server), act);
    }
    pair.settle_down();
    pair.agree();
    pair.ends[0].connection.close(None);
    pair.settle_down();
    for end in &pair.ends {
        assert!(end.connection.is_done(), "not closed: {:?}", end.connection.state());
    }
}

struct Pair {
    ends: [End; 2],
    /// What was sent, by tag, which no two deliveries share: its bytes so far.
    sizes: BTreeMap<DeliveryTag, u64>,
}

struct End {
    connection: Connection,
    /// On its way to this end.
    wire: BytesMut,
    audit: Audit,
    sessions: Vec<SessionId>,
    links: Vec<LinkId>,
    sent: Vec<DeliveryId>,
    received: Vec<DeliveryId>,
    /// What links have started.
    started: Vec<(LinkId, DeliveryTag)>,
}

impl Pair {
    fn attach(&mut self) -> Result<(), SendError> {
        self.act(0, &Act::Begin { incoming_window: 7 })?;
        self.act(0, &Act::AttachSender { session: 0, settled: false })?;
        self.act(0, &Act::AttachReceiver { session: 0, second: false })?;
        self.settle_down();
        self.act(1, &Act::AddCredit { link: 0, count: 10 })?;
        self.act(0, &Act::AddCredit { link: 1, count: 10 })?;
        self.settle_down();
        Ok(())
    }

    fn act(&mut self, by: usize, act: &Act) -> Result<(), SendError> {
        let tag = DeliveryTag::from(self.sizes.len() as u64);
        let (end, sizes) = (&mut self.ends[by], &mut self.sizes);
        match *act {
            Act::Carry { bytes } => drop(self.carry(by, bytes.into())),
            Act::Take { delivery } => take(end, sizes, pick(&end.received, delivery)?)?,
            Act::Poll { events } => {
                (0..events).all(|_| end.poll());
            }
            Act::Send { link, size, settled } => {
                let link = pick(&end.links, link)?;
                let id = end.connection.sender(link)?.send(tag, settled, payload(&tag, size))?;
                sizes.insert(tag, size.into());
                end.sent.push(id);
            }
            Act::Post { link, size, settled } => {
                let link = pick(&end.links, link)?;
                let mut sender = end.connection.sender(link)?;
                let id = sender.post(transaction(), tag, settled, 0, payload(&tag, size))?;
                sizes.insert(tag, size.into());
                end.sent.push(id);
            }
            Act::Start { link, size, settled } => {
                let link = pick(&end.links, link)?;
                let id = end.connection.sender(link)?.start(tag, settled, 0, payload(&tag, size))?;
                sizes.insert(tag, size.into());
                end.sent.push(id);
                end.started.push((link, tag));
            }
            Act::Write { link, size } => {
                let link = pick(&end.links, link)?;
                let tag = end.started.iter().rfind(|started| started.0 == link).map(|started| started.1);
                let tag = tag.ok_or(Misuse::NothingStarted)?;
                end.connection.sender(link)?.write(payload(&tag, size))?;
                *sizes.get_mut(&tag).expect("it was started") += u64::from(size);
            }
            _ => end.act(act)?,
        }
        Ok(())
    }

    /// Has up to `limit` bytes that one end wants to write read by the other; whether there were any.
    fn carry(&mut self, from: usize, limit: usize) -> bool {
        let [a, b] = &mut self.ends;
        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
        let mut left = limit;
        while left > 0 {
            let Some(mut transmit) = from.connection.poll_transmit(NOW) else {
                from.audit.flushed();
                break;
            };
            let chunk = transmit.chunk();
            let chunk = &chunk[..chunk.len().min(left)];
            let written = chunk.len();
            from.audit.sent(chunk).1.expect("what is written keeps the rules");
            to.audit.received(chunk);
            to.wire.extend_from_slice(chunk);
            transmit.advance(written);
            left -= written;
        }
        to.connection.handle_input(&mut to.wire, NOW);
        left < limit
    }

    /// Until nothing moves any more: events are answered, messages taken and accepted, started ones finished.
    fn settle_down(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for by in [0, 1] {
                moved |= self.carry(by, usize::MAX);
                let end = &mut self.ends[by];
                for (link, _) in std::mem::take(&mut end.started) {
                    let _ = end.connection.sender(link).map(|mut sender| sender.finish());
                    moved = true;
                }
                while end.poll() {
                    moved = true;
                }
                for link in end.links.clone() {
                    moved |= go_on(end, &self.sizes, link).is_ok_and(|any| any);
                }
                // Those that were not written to their end when the outcome came are left.
                for id in end.sent.clone() {
                    moved |= end.settle_sent(id).is_ok_and(|settled| settled);
                }
                for id in end.received.clone() {
                    let _ = take(end, &self.sizes, id);
                    let accepted = end.connection.receiver(id.link()).and_then(|mut link| link.accept(id));
                    moved |= accepted.is_ok();
                }
            }
            if !moved {
                return;
            }
        }
        panic!("they talk without end");
    }

    /// What both ends count is the same.
    fn agree(&mut self) {
        let [client, server] = &mut self.ends;
        for id in &client.links {
            let Ok(role) = client.connection.role(*id) else { continue };
            let mine = counts(&mut client.connection, *id, role);
            let peers = server.links.iter().find_map(|id| {
                let role = server.connection.role(*id).ok()?;
                Some(counts(&mut server.connection, *id, role)).filter(|peers| peers.name == mine.name)
            });
            if let Some(peers) = peers
                && mine.state == LinkState::Attached
            {
                assert_eq!(peers, mine);
                assert_eq!(mine.unsettled, 0);
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Counts {
    name: String,
    state: LinkState,
    credit: u32,
    unsettled: usize,
}

fn counts(connection: &mut Connection, id: LinkId, role: Role) -> Counts {
    macro_rules! counts {
        ($link:expr) => {{
            let link = $link.expect("the link is there and has this role");
            Counts {
                name: link.name().to_owned(),
                state: link.state(),
                credit: link.credit(),
                unsettled: link.unsettled(),
            }
        }};
    }
    match role {
        Role::Sender => counts!(connection.sender(id)),
        Role::Receiver => counts!(connection.receiver(id)),
    }
}

impl End {
    fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(config, NOW),
            wire: BytesMut::new(),
            audit: Audit::default(),
            sessions: Vec::new(),
            links: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            started: Vec::new(),
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), SendError> {
        let connection = &mut self.connection;
        match *act {
            Act::Begin { incoming_window } => {
                let incoming_window = u32::from(incoming_window) + 1;
                let config = SessionConfig { incoming_window, ..SessionConfig::default() };
                self.sessions.push(connection.begin(config)?);
            }
            Act::AttachSender { session, settled } => {
                let name = format!("{:?} {}", connection.config().side, self.links.len());
                let mut config = LinkConfig::sender(name, "q");
                config.snd_settle_mode =
                    if settled { SenderSettleMode::Settled } else { SenderSettleMode::Mixed };
                self.links.push(connection.session(pick(&self.sessions, session)?)?.attach_sender(config)?);
            }
            Act::AttachReceiver { session, second } => {
                let name = format!("{:?} {}", connection.config().side, self.links.len());
                let mut config = LinkConfig::receiver(name, "q");
                config.rcv_settle_mode =
                    if second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First };
                self.links.push(connection.session(pick(&self.sessions, session)?)?.attach_receiver(config)?);
            }
            Act::AddCredit { link, count } => {
                connection.receiver(pick(&self.links, link)?)?.add_credit(count.into());
            }
            Act::SetCredit { link, count } => {
                connection.receiver(pick(&self.links, link)?)?.set_credit(count.into());
            }
            Act::Drain { link } => connection.receiver(pick(&self.links, link)?)?.drain(),
            Act::Finish { link } => {
                let link = pick(&self.links, link)?;
                connection.sender(link)?.finish()?;
                self.started.retain(|started| started.0 != link);
            }
            Act::Abort { link } => {
                let link = pick(&self.links, link)?;
                connection.sender(link)?.abort()?;
                self.started.retain(|started| started.0 != link);
            }
            Act::Update { delivery, ref outcome } => {
                let id = pick(&self.received, delivery)?;
                connection.receiver(id.link())?.update(id, outcome.state())?;
            }
            Act::Presume { delivery, ref outcome } => {
                let id = pick(&self.received, delivery)?;
                connection.delivery_mut(id)?.presume(transaction(), outcome.state())?;
            }
            Act::Settle { delivery } => {
                let id = pick(&self.received, delivery)?;
                connection.receiver(id.link())?.settle(id)?;
            }
            Act::SettleSent { delivery } => {
                let id = pick(&self.sent, delivery)?;
                connection.sender(id.link())?.settle(id, None)?;
            }
            Act::Detach { link } => {
                detach(connection, pick(&self.links, link)?)?;
            }
            Act::Resume { link } => resume(connection, pick(&self.links, link)?)?,
            Act::Close { link } => close(connection, pick(&self.links, link)?)?,
            Act::End { session } => connection.session(pick(&self.sessions, session)?)?.end(None)?,
            Act::WriteDispositions { session } => {
                connection.session(pick(&self.sessions, session)?)?.write_dispositions();
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers the next event as a peer should.
    fn poll(&mut self) -> bool {
        let Some(event) = self.connection.poll_event() else { return false };
        // What an event is about may have been ended before the event was read.
        let _ = self.answer(event);
        true
    }

    fn answer(&mut self, event: Event) -> Result<(), Misuse> {
        let connection = &mut self.connection;
        match event {
            Event::Opened => connection.open(),
            Event::Closed { error } => {
                assert_eq!(error, None);
                connection.close(None);
            }
            Event::Violated(violation) => panic!("{violation:?}"),
            Event::Disconnected(reason) => assert_eq!(reason, DisconnectReason::Closed),
            Event::SessionBegun(id) => {
                let mut session = connection.session(id)?;
                if session.state() == SessionState::BeginReceived {
                    session.accept(SessionConfig { incoming_window: 3, ..SessionConfig::default() })?;
                    self.sessions.push(id);
                }
            }
            Event::SessionEnded { session, error } => {
                assert_eq!(error, None);
                connection.session(session)?.end(None)?;
            }
            Event::LinkAttached(id) => self.links.extend(attach(connection, id)?),
            Event::LinkDetached { link, error, closed } => {
                assert_eq!(error, None);
                self.started.retain(|started| started.0 != link);
                if closed { close(connection, link)? } else { detach(connection, link)? }
            }
            Event::Drain(link) => connection.sender(link)?.drained(),
            Event::Delivery(id) if !self.received.contains(&id) => self.received.push(id),
            Event::Updated(id) => match connection.role(id.link())? {
                Role::Sender => drop(self.settle_sent(id)?),
                Role::Receiver => {
                    let mut receiver = connection.receiver(id.link())?;
                    if receiver.delivery(id)?.is_remotely_settled() {
                        receiver.settle(id)?;
                    }
                }
            },
            _ => {}
        }
        Ok(())
    }
}

impl End {
    /// Settles a delivery whose outcome is known.
    fn settle_sent(&mut self, id: DeliveryId) -> Result<bool, Misuse> {
        let mut sender = self.connection.sender(id.link())?;
        let delivery = sender.delivery(id)?;
        let known =
            delivery.is_remotely_settled() || delivery.remote_state().is_some_and(DeliveryState::is_outcome);
        if known {
            sender.settle(id, None)?;
        }
        Ok(known)
    }
}

/// Answers an attach of the peer's in its own terms; gives the link if there was one to answer.
fn attach(connection: &mut Connection, id: LinkId) -> Result<Option<LinkId>, Misuse> {
    macro_rules! attach {
        ($link:expr, $config:expr) => {{
            let mut link = $link;
            let asked = link.state() == LinkState::AttachReceived;
            if let (true, Some(attach)) = (asked, link.remote_attach()) {
                let modes = (attach.snd_settle_mode, attach.rcv_settle_mode);
                link.attach(LinkConfig { snd_settle_mode: modes.0, rcv_settle_mode: modes.1, ..$config })?;
            }
            Ok(asked.then_some(id))
        }};
    }
    match connection.role(id)? {
        Role::Sender => attach!(connection.sender(id)?, LinkConfig::sender("", "q")),
        Role::Receiver => attach!(connection.receiver(id)?, LinkConfig::receiver("", "q")),
    }
}

fn detach(connection: &mut Connection, id: LinkId) -> Result<(), Misuse> {
    match connection.role(id)? {
        Role::Sender => connection.sender(id)?.detach(),
        Role::Receiver => connection.receiver(id)?.detach(),
    }
}

/// Attaches a link again that is detached, with the deliveries that it has.
fn resume(connection: &mut Connection, id: LinkId) -> Result<(), Misuse> {
    macro_rules! resume {
        ($link:expr) => {{
            let mut link = $link;
            match link.terminus_state() {
                Some(state) if link.state() == LinkState::Detached => link.attach(state.config),
                _ => Err(Misuse::NothingToAnswer),
            }
        }};
    }
    match connection.role(id)? {
        Role::Sender => resume!(connection.sender(id)?),
        Role::Receiver => resume!(connection.receiver(id)?),
    }
}

fn close(connection: &mut Connection, id: LinkId) -> Result<(), Misuse> {
    match connection.role(id)? {
        Role::Sender => connection.sender(id)?.close(None),
        Role::Receiver => connection.receiver(id)?.close(None),
    }
}

/// Does what is to be done with the deliveries that a link was resumed with: whether anything was.
fn go_on(end: &mut End, sizes: &BTreeMap<DeliveryTag, u64>, link: LinkId) -> Result<bool, SendError> {
    let mut any = false;
    for (tag, resumption) in end.connection.sender(link)?.unresolved() {
        let mut sender = end.connection.sender(link)?;
        let done = match resumption {
            Resumption::Resend | Resumption::Resume(_) => {
                sender.resume(tag, vec![fill(&tag); sizes[&tag] as usize]).map(Some)
            }
            _ => sender.resolve(tag),
        };
        match done {
            Ok(id) => end.sent.extend(id),
            Err(SendError::Blocked(_)) => continue,
            Err(error) => return Err(error),
        }
        any = true;
    }
    Ok(any)
}

/// Takes what there is of a delivery and holds it against what was sent.
fn take(end: &mut End, sizes: &BTreeMap<DeliveryTag, u64>, id: DeliveryId) -> Result<(), Misuse> {
    let mut receiver = end.connection.receiver(id.link())?;
    let delivery = receiver.delivery(id)?;
    let tag = *delivery.tag();
    if delivery.is_complete() {
        assert_eq!(Some(&delivery.size()), sizes.get(&tag));
    }
    let taken = receiver.take(id)?.into_bytes();
    assert!(taken.iter().all(|byte| *byte == fill(&tag)));
    Ok(())
}

fn payload(tag: &DeliveryTag, size: u16) -> Vec<u8> {
    vec![fill(tag); size.into()]
}

/// A transaction that nobody discharges.
fn transaction() -> TxnId {
    TxnId::new(b"transaction").expect("it is short")
}

/// The byte that a delivery is made of.
fn fill(tag: &DeliveryTag) -> u8 {
    tag.as_bytes().last().copied().unwrap_or_default()
}

impl Outcome {
    fn state(&self) -> DeliveryState {
        match self {
            Self::Accept => DeliveryState::Accepted,
            Self::Reject => DeliveryState::Rejected(None),
            Self::Release => DeliveryState::Released,
            Self::Modify => DeliveryState::Modified(Box::default()),
            Self::InTransaction => transaction().state(Some(DeliveryState::Accepted)),
        }
    }
}

fn pick<T: Copy>(from: &[T], number: u8) -> Result<T, Misuse> {
    from.get(usize::from(number) % from.len().max(1)).copied().ok_or(Misuse::Gone)
}
