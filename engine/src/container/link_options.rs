//! What can be said where a link is made: each thing a value, one or several of them.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{mem, time::Duration};

use crate::{
    LinkConfig, UnsettledMap,
    codec::{Described, Fields, Str, Symbol, Symbols},
    types::{
        Attach, Coordinator, DeliveryState, LifetimePolicy, ReceiverSettleMode, Role, SenderSettleMode,
        Source, Target, TargetKind, TerminusDurability, TerminusExpiryPolicy, capability, distribution_mode,
    },
};

/// The type of filters that are JMS selectors.
const SELECTOR: Symbol = Symbol::from_static("apache.org:selector-filter:string");

/// All that this side says when it attaches a link (§2.7.3).
///
/// Of the two termini of a link one is the *node*: the queue or topic, or whatever the link is made for. For a link
/// that this side makes it is the peer's terminus, for one that the peer makes it is ours.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    role: Role,
    node: NodeSide,
    /// The link's name; without one it gets a name of its own (§2.6.1).
    pub name: Option<Str>,
    /// Where messages come from.
    pub source: Source,
    /// Where messages go.
    pub target: Target,
    /// In the place of `target`: a coordinator of transactions (§4.5.1).
    pub coordinator: Option<Coordinator>,
    /// Whether the sender settles.
    pub snd_settle_mode: SenderSettleMode,
    /// When the receiver settles.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// The largest message that this side takes, in bytes; without one the limit of the connection holds.
    pub max_message_size: Option<u64>,
    /// Extensions that this side supports.
    pub offered_capabilities: Symbols,
    /// Extensions that this side may use if the peer supports them.
    pub desired_capabilities: Symbols,
    /// Anything else there is to say.
    pub properties: Option<Fields>,
    /// For a receiver: goes before [`Knobs::prefetch`](super::Knobs::prefetch).
    pub prefetch: Option<u32>,
    /// For a link that this side makes: what becomes of messages in doubt.
    pub in_doubt: InDoubt,
    /// What the link goes on with, where it is resumed.
    pub(super) unsettled: Option<UnsettledMap>,
}

/// Which terminus is the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeSide {
    Source,
    Target,
}

impl LinkSettings {
    /// A link that this side makes.
    pub(super) fn new(role: Role) -> Self {
        let node = match role {
            Role::Sender => NodeSide::Target,
            Role::Receiver => NodeSide::Source,
        };
        Self {
            role,
            node,
            name: None,
            source: Source::default(),
            target: Target::default(),
            coordinator: None,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            max_message_size: None,
            offered_capabilities: Symbols::new(),
            desired_capabilities: Symbols::new(),
            properties: None,
            prefetch: None,
            in_doubt: InDoubt::Report,
            unsettled: None,
        }
    }

    /// The answer to a link that the peer makes, with what the peer asks for; none if its target is no node.
    pub(super) fn answer(role: Role, attach: Attach) -> Option<Self> {
        let node = match role {
            Role::Sender => NodeSide::Source,
            Role::Receiver => NodeSide::Target,
        };
        let (target, coordinator) = match attach.target.map(|target| *target) {
            Some(TargetKind::Target(target)) => (target, None),
            Some(TargetKind::Coordinator(_)) => (Target::default(), Some(Coordinator::default())),
            Some(_) => return None,
            None => (Target::default(), None),
        };
        let source = attach.source.map(|source| *source).unwrap_or_default();
        // Filters and properties that nobody has said to be in force are not.
        Some(Self {
            node,
            source: Source { filter: None, dynamic_node_properties: None, ..source },
            target: Target { dynamic_node_properties: None, ..target },
            coordinator,
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            ..Self::new(role)
        })
    }

    /// What this side has attached a link of its own with, to be said again.
    pub(super) fn again(role: Role, attach: Attach) -> Option<Self> {
        let TargetKind::Target(target) = *attach.target? else { return None };
        Some(Self {
            name: Some(attach.name),
            source: attach.source.map(|source| *source).unwrap_or_default(),
            target,
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            max_message_size: attach.max_message_size,
            offered_capabilities: attach.offered_capabilities,
            desired_capabilities: attach.desired_capabilities,
            properties: attach.properties,
            ..Self::new(role)
        })
    }

    /// What this side does on the link.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The address of the node.
    #[must_use]
    pub const fn address(&self) -> Option<&Str> {
        match self.node {
            NodeSide::Source => self.source.address.as_ref(),
            NodeSide::Target => self.target.address.as_ref(),
        }
    }

    /// Whether the side of the node is to make it.
    #[must_use]
    pub const fn is_dynamic(&self) -> bool {
        match self.node {
            NodeSide::Source => self.source.dynamic,
            NodeSide::Target => self.target.dynamic,
        }
    }

    /// Names the node.
    pub fn set_address(&mut self, address: impl Into<Str>) {
        *self.node(|source| &mut source.address, |target| &mut target.address) = Some(address.into());
    }

    /// Names another node, or none: the one named before.
    pub(super) fn replace_address(&mut self, address: Option<Str>) -> Option<Str> {
        mem::replace(self.node(|source| &mut source.address, |target| &mut target.address), address)
    }

    fn node<T>(
        &mut self,
        source: impl FnOnce(&mut Source) -> &mut T,
        target: impl FnOnce(&mut Target) -> &mut T,
    ) -> &mut T {
        match self.node {
            NodeSide::Source => source(&mut self.source),
            NodeSide::Target => target(&mut self.target),
        }
    }
}

impl From<LinkSettings> for LinkConfig {
    fn from(settings: LinkSettings) -> Self {
        let base = Self::new(settings.name.unwrap_or_default());
        Self {
            source: Some(Box::new(settings.source)),
            target: Some(Box::new(match settings.coordinator {
                Some(coordinator) => coordinator.into(),
                None => settings.target.into(),
            })),
            snd_settle_mode: settings.snd_settle_mode,
            rcv_settle_mode: settings.rcv_settle_mode,
            max_message_size: settings.max_message_size.or(base.max_message_size),
            unsettled: settings.unsettled,
            offered_capabilities: settings.offered_capabilities,
            desired_capabilities: settings.desired_capabilities,
            properties: settings.properties,
            ..base
        }
    }
}

/// A thing that can be said where a link is made, or several of them.
///
/// Text is the node's address. Several options are a tuple, an array, a `Vec` or an `Option` of them; `()` is none.
/// A closure that takes `&mut LinkSettings` says what has no option of its own.
///
/// ```
/// use amqp1_engine::container::{AtMostOnce, Context, Name, ReceiverId, ConnectionId};
///
/// fn watch(cx: &mut Context<'_>, connection: ConnectionId) -> ReceiverId {
///     cx.create_receiver(connection, ("prices", AtMostOnce, Name("watcher")))
/// }
/// ```
pub trait LinkOption {
    /// Says it.
    fn apply(self, link: &mut LinkSettings);
}

impl LinkOption for () {
    fn apply(self, _: &mut LinkSettings) {}
}

impl<F: FnOnce(&mut LinkSettings)> LinkOption for F {
    fn apply(self, link: &mut LinkSettings) {
        self(link);
    }
}

impl<T: LinkOption> LinkOption for Option<T> {
    fn apply(self, link: &mut LinkSettings) {
        if let Some(option) = self {
            option.apply(link);
        }
    }
}

impl<T: LinkOption> LinkOption for Vec<T> {
    fn apply(self, link: &mut LinkSettings) {
        for option in self {
            option.apply(link);
        }
    }
}

impl<T: LinkOption, const N: usize> LinkOption for [T; N] {
    fn apply(self, link: &mut LinkSettings) {
        for option in self {
            option.apply(link);
        }
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: LinkOption),+> LinkOption for ($($name,)+) {
            #[allow(non_snake_case)]
            fn apply(self, link: &mut LinkSettings) {
                let ($($name,)+) = self;
                $($name.apply(link);)+
            }
        }
    };
}
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

macro_rules! addresses {
    ($($text:ty),+) => {$(
        impl LinkOption for $text {
            fn apply(self, link: &mut LinkSettings) {
                link.set_address(self);
            }
        }
    )+};
}
addresses!(&str, String, Str);

impl LinkOption for &String {
    fn apply(self, link: &mut LinkSettings) {
        link.set_address(self.as_str());
    }
}

/// Messages may get lost but not doubled: sent settled (§2.6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMostOnce;

impl LinkOption for AtMostOnce {
    fn apply(self, link: &mut LinkSettings) {
        link.snd_settle_mode = SenderSettleMode::Settled;
        link.rcv_settle_mode = ReceiverSettleMode::First;
    }
}

/// Messages may get doubled but not lost: the receiver tells an outcome and settles at once (§2.6.12). What is in doubt
/// after the loss of a connection, session or link is sent again ([`InDoubt::Resend`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeastOnce;

impl LinkOption for AtLeastOnce {
    fn apply(self, link: &mut LinkSettings) {
        link.snd_settle_mode = SenderSettleMode::Unsettled;
        link.rcv_settle_mode = ReceiverSettleMode::First;
        link.in_doubt = InDoubt::Resend;
    }
}

/// Messages get neither lost nor doubled: the receiver tells an outcome and settles after the sender did (§2.6.12). After the
/// loss of a connection the link is resumed ([`InDoubt::Resume`]), which takes a peer that recovers links, too.
///
/// A container does for links that peers make where
/// [`ContainerOptions::suspended_links`](super::ContainerOptions::suspended_links) lets it; RabbitMQ and ActiveMQ do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactlyOnce;

impl LinkOption for ExactlyOnce {
    fn apply(self, link: &mut LinkSettings) {
        link.snd_settle_mode = SenderSettleMode::Unsettled;
        link.rcv_settle_mode = ReceiverSettleMode::Second;
        link.in_doubt = InDoubt::Resume;
    }
}

/// What becomes of messages of which nobody knows whether they arrived: they were sent, and the connection, session or link was
/// lost before their outcome came.
///
/// It is an option for a link that this side makes on a connection that is [made again](super::Reconnect); without it, and
/// without a guarantee that brings one along ([`AtLeastOnce`], [`ExactlyOnce`]), they are reported. To a receiver `Report` and
/// `Resend` are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InDoubt {
    /// The program is told of each, by [`on_in_doubt`](super::Handler::on_in_doubt).
    #[default]
    Report,
    /// They are sent again once the link is attached again, before all others and under their tags. Until its outcome is known
    /// a message is kept; one that was sent piece by piece is not, and reported.
    Resend,
    /// The link is resumed (§2.6.13): both sides say what they know of each message, so that nobody doubts. What has not
    /// arrived is sent again, the outcome of what has arrived is told; a receiver goes on with what it has told an outcome
    /// of and the sender has not settled. For that a message is kept as for `Resend`, and the link's `attach` has an
    /// unsettled map, at which some peers end the session; so it is only done where the receiver settles
    /// [second](ReceiverSettleMode::Second), as [`ExactlyOnce`] asks, and the peer has agreed.
    ///
    /// Where the peer knows nothing of the link, or recovers none, its `attach` has no such map
    /// ([`Context::remote_attach`](super::Context::remote_attach)). Then what a sender doubts is reported, after
    /// [`on_link_opened`](super::Handler::on_link_opened), and what a receiver has taken may come again.
    Resume,
}

impl LinkOption for InDoubt {
    fn apply(self, link: &mut LinkSettings) {
        link.in_doubt = self;
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($ty:ty) |$value:ident, $link:ident| $apply:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub $ty);

        impl LinkOption for $name {
            fn apply(self, $link: &mut LinkSettings) {
                let $value = self.0;
                $apply;
            }
        }
    )+};
}

options! {
    /// Filters by name, each a described value or null: only messages that pass all of them come (§3.5.8). They are added
    /// to those said before. [`Context::dropped_filters`](super::Context::dropped_filters) tells which the peer does
    /// without.
    Filter(Fields) |filters, link| {
        link.source.filter.get_or_insert_default().extend(&filters);
    };
    /// Lets the peer make a node for this link, as [`Dynamic`] does, that has these properties (§3.5.9). They are added
    /// to those said before.
    DynamicNodeProperties(Fields) |properties, link| {
        Dynamic.apply(link);
        link.node(|source| &mut source.dynamic_node_properties, |target| &mut target.dynamic_node_properties)
            .get_or_insert_default()
            .extend(&properties);
    };
    /// How much of the node's state outlives its host (§3.5.5).
    Durability(TerminusDurability) |durability, link|
        *link.node(|source| &mut source.durable, |target| &mut target.durable) = durability;
    /// What starts the clock at whose end the node's state is given up (§3.5.6).
    Expiry(TerminusExpiryPolicy) |policy, link|
        *link.node(|source| &mut source.expiry_policy, |target| &mut target.expiry_policy) = policy;
    /// How long the node's state lives once expiry has begun; whole seconds, rounded up (§3.5.3).
    Timeout(Duration) |timeout, link|
        *link.node(|source| &mut source.timeout, |target| &mut target.timeout) = whole_seconds(timeout);
    /// The extensions that the node is to have (§3.5.3, §3.5.4).
    Capabilities(Symbols) |capabilities, link|
        *link.node(|source| &mut source.capabilities, |target| &mut target.capabilities) = capabilities;
    /// The extensions that the source is to have (§3.5.3).
    SourceCapabilities(Symbols) |capabilities, link| link.source.capabilities = capabilities;
    /// The extensions that the target is to have (§3.5.4).
    TargetCapabilities(Symbols) |capabilities, link| link.target.capabilities = capabilities;
    /// What becomes of a message that is settled without an outcome (§3.5.3).
    DefaultOutcome(DeliveryState) |outcome, link| link.source.default_outcome = Some(outcome);
    /// The outcomes that the receiver may choose from (§3.5.3).
    Outcomes(Symbols) |outcomes, link| link.source.outcomes = outcomes;
    /// Extensions of the link that this side supports (§2.7.3).
    OfferedCapabilities(Symbols) |capabilities, link| link.offered_capabilities = capabilities;
    /// Extensions of the link that this side may use if the peer supports them (§2.7.3).
    DesiredCapabilities(Symbols) |capabilities, link| link.desired_capabilities = capabilities;
    /// Anything else there is to say of the link (§2.7.3).
    LinkProperties(Fields) |properties, link| link.properties = Some(properties);
    /// The largest message that this side takes, in bytes (§2.7.3).
    MaxMessageSize(u64) |size, link| link.max_message_size = Some(size);
    /// The target is a coordinator of transactions that can do this, or is to (§4.5.7). For a link that a peer attached to
    /// one, this is the answer of a resource.
    CoordinatorCapabilities(Symbols) |capabilities, link|
        link.coordinator = Some(Coordinator { capabilities });
    /// How many messages the receiver lets come ahead; 0 for manual credit.
    Prefetch(u32) |count, link| link.prefetch = Some(count);
}

fn whole_seconds(duration: Duration) -> u32 {
    let up = u64::from(duration.subsec_nanos() != 0);
    u32::try_from(duration.as_secs().saturating_add(up)).unwrap_or(u32::MAX)
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident |$value:ident, $link:ident| $apply:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<T>(pub T);

        impl<T: Into<Str>> LinkOption for $name<T> {
            fn apply(self, $link: &mut LinkSettings) {
                let $value = self.0.into();
                $apply;
            }
        }
    )+};
}

texts! {
    /// The link's name. Two links of one container to another with one name and direction are the same link (§2.6.1).
    Name |name, link| link.name = Some(name);
    /// The name of a subscription, which is the link's: with [`DurableSubscription`] the peer keeps it under this name for
    /// this container.
    SubscriptionName |name, link| link.name = Some(name);
    /// Only messages that an expression holds for, by their header, properties and application properties: `colour = 'green'`
    /// (§3.5.1). The language is that of JMS selectors; a peer that does not know it does without, as
    /// [`Context::dropped_filters`](super::Context::dropped_filters) tells.
    Selector |expression, link| {
        let selector = Described::new(SELECTOR, &*expression);
        Filter(Fields::new().with(Symbol::from_static("selector"), selector)).apply(link);
    };
    /// The address that messages come from.
    SourceAddress |address, link| link.source.address = Some(address);
    /// The address that messages go to.
    TargetAddress |address, link| link.target.address = Some(address);
}

/// Lets the peer make a node for this link, which is given no address: it is known once the link is open (§3.5.3,
/// §3.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic;

impl LinkOption for Dynamic {
    fn apply(self, link: &mut LinkSettings) {
        *link.node(|source| &mut source.dynamic, |target| &mut target.dynamic) = true;
    }
}

/// How long the node lives that the peer makes for this link, as with [`Dynamic`] (§3.5.9).
impl LinkOption for LifetimePolicy {
    fn apply(self, link: &mut LinkSettings) {
        DynamicNodeProperties(Fields::new().with(Symbol::from_static("lifetime-policy"), self)).apply(link);
    }
}

/// Messages stay at the node they are sent from: to browse a queue (§3.5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy;

impl LinkOption for Copy {
    fn apply(self, link: &mut LinkSettings) {
        link.source.distribution_mode = Some(distribution_mode::COPY);
    }
}

/// Messages leave the node they are sent from: to consume a queue (§3.5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move;

impl LinkOption for Move {
    fn apply(self, link: &mut LinkSettings) {
        link.source.distribution_mode = Some(distribution_mode::MOVE);
    }
}

/// The source, and what is sent to it, outlive the link until that is closed: a receiver that
/// [detaches](super::Context::detach), or loses its connection, gets what has come meanwhile when it attaches again under
/// the same [`SubscriptionName`] from a container of the same name (§3.5.5, §3.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurableSubscription;

impl LinkOption for DurableSubscription {
    fn apply(self, link: &mut LinkSettings) {
        link.source.durable = TerminusDurability::UnsettledState;
        link.source.expiry_policy = TerminusExpiryPolicy::Never;
    }
}

/// Receivers of one subscription share its messages: capability `shared` of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared;

impl LinkOption for Shared {
    fn apply(self, link: &mut LinkSettings) {
        link.source.capabilities.push(capability::SHARED);
    }
}

/// The name of a subscription is one for all containers: capability `global` of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global;

impl LinkOption for Global {
    fn apply(self, link: &mut LinkSettings) {
        link.source.capabilities.push(capability::GLOBAL);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::types::Handle;

    fn settings(role: Role, option: impl LinkOption) -> LinkSettings {
        let mut link = LinkSettings::new(role);
        option.apply(&mut link);
        link
    }

    #[test]
    fn l_01_guarantees_are_settle_modes() {
        let modes = |link: LinkSettings| (link.snd_settle_mode, link.rcv_settle_mode);
        let sender = |option| modes(settings(Role::Sender, option));
        assert_eq!(sender(Some(AtMostOnce)), (SenderSettleMode::Settled, ReceiverSettleMode::First));
        let twice = settings(Role::Sender, (AtMostOnce, ExactlyOnce));
        assert_eq!(modes(twice), (SenderSettleMode::Unsettled, ReceiverSettleMode::Second));
        let least = settings(Role::Receiver, [AtLeastOnce]);
        assert_eq!(modes(least), (SenderSettleMode::Unsettled, ReceiverSettleMode::First));
    }

    #[test]
    fn l_05_options_of_the_node_go_to_the_terminus_that_is_the_node() {
        let options =
            || ("q", Durability(TerminusDurability::UnsettledState), Timeout(Duration::from_millis(1500)));
        let sender = settings(Role::Sender, options());
        assert_eq!(sender.target.address.as_deref(), Some("q"));
        assert_eq!(sender.target.durable, TerminusDurability::UnsettledState);
        assert_eq!(sender.target.timeout, 2);
        assert_eq!(sender.source, Source::default());
        let receiver = settings(Role::Receiver, options());
        assert_eq!(receiver.address().map(Str::as_str), Some("q"));
        assert_eq!(receiver.source.timeout, 2);
        assert_eq!(receiver.target, Target::default());
        let asked = Attach { source: Some(Box::default()), ..Attach::new("link", Handle(0), Role::Receiver) };
        let mut answer = LinkSettings::answer(Role::Sender, asked).unwrap();
        ("made", Dynamic).apply(&mut answer);
        assert_eq!(answer.source.address.as_deref(), Some("made"));
        assert!(answer.source.dynamic);
    }

    #[test]
    fn l_02_filters_add_up() {
        let odd = Described::new(Symbol::from_static("odd:filter"), true);
        let more = Fields::new().with(Symbol::from_static("odd"), odd.clone());
        let link = settings(
            Role::Receiver,
            ("q", Selector("colour = 'red'"), Filter(more), Selector("colour = 'green'")),
        );
        let filter = link.source.filter.unwrap();
        let selector =
            Described::new(Symbol::from_static("apache.org:selector-filter:string"), "colour = 'green'");
        assert_eq!(filter.get("selector"), Some(crate::codec::ValueRef::Described(selector.borrow())));
        assert_eq!(filter.get("odd"), Some(crate::codec::ValueRef::Described(odd.borrow())));
        assert_eq!(filter.len(), 2);
    }

    #[test]
    fn l_03_distribution_and_subscriptions_are_said_of_the_source() {
        let mode =
            |option: &dyn Fn(&mut LinkSettings)| settings(Role::Receiver, option).source.distribution_mode;
        assert_eq!(mode(&|link| Copy.apply(link)), Some(distribution_mode::COPY));
        assert_eq!(mode(&|link| (Copy, Move).apply(link)), Some(distribution_mode::MOVE));
        let link = settings(
            Role::Receiver,
            ("topic://news", SubscriptionName("mine"), DurableSubscription, Shared, Global),
        );
        assert_eq!(link.name.as_deref(), Some("mine"));
        assert_eq!(link.source.durable, TerminusDurability::UnsettledState);
        assert_eq!(link.source.expiry_policy, TerminusExpiryPolicy::Never);
        assert_eq!(link.source.capabilities, ["shared", "global"].map(Symbol::from_static));
    }

    #[test]
    fn l_04_properties_are_those_of_a_node_that_is_made() {
        let stored = Fields::new().with(Symbol::from_static("stored"), true);
        let options = || (DynamicNodeProperties(stored.clone()), LifetimePolicy::DeleteOnNoLinks);
        let receiver = settings(Role::Receiver, options());
        assert!(receiver.is_dynamic() && !receiver.target.dynamic);
        let expected =
            stored.clone().with(Symbol::from_static("lifetime-policy"), LifetimePolicy::DeleteOnNoLinks);
        assert_eq!(receiver.source.dynamic_node_properties, Some(expected.clone()));
        let sender = settings(Role::Sender, options());
        assert!(sender.is_dynamic() && !sender.source.dynamic);
        assert_eq!(sender.target.dynamic_node_properties, Some(expected));
    }

    #[test]
    fn options_may_be_lists_and_closures() {
        let link = settings(
            Role::Receiver,
            (vec![Prefetch(3)], Name("mine"), |link: &mut LinkSettings| link.max_message_size = Some(7)),
        );
        assert_eq!(link.prefetch, Some(3));
        assert_eq!(link.name.as_deref(), Some("mine"));
        assert_eq!(link.max_message_size, Some(7));
    }
}
