//! What can be said where a link is made: each thing a value, one or several of them.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    LinkConfig,
    codec::{Map, Str, Symbol},
    types::{
        Attach, Coordinator, DeliveryState, ReceiverSettleMode, Role, SenderSettleMode, Source, Target,
        TargetKind, TerminusDurability, TerminusExpiryPolicy,
    },
};

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
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions that this side may use if the peer supports them.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything else there is to say.
    pub properties: Option<Map>,
    /// For a receiver: goes before [`Knobs::prefetch`](super::Knobs::prefetch).
    pub prefetch: Option<u32>,
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
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: None,
            prefetch: None,
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

/// Messages may get doubled but not lost: the receiver tells an outcome and settles at once (§2.6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeastOnce;

impl LinkOption for AtLeastOnce {
    fn apply(self, link: &mut LinkSettings) {
        link.snd_settle_mode = SenderSettleMode::Unsettled;
        link.rcv_settle_mode = ReceiverSettleMode::First;
    }
}

/// Messages get neither lost nor doubled: the receiver tells an outcome and settles after the sender did (§2.6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactlyOnce;

impl LinkOption for ExactlyOnce {
    fn apply(self, link: &mut LinkSettings) {
        link.snd_settle_mode = SenderSettleMode::Unsettled;
        link.rcv_settle_mode = ReceiverSettleMode::Second;
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
    Capabilities(Vec<Symbol>) |capabilities, link|
        *link.node(|source| &mut source.capabilities, |target| &mut target.capabilities) = capabilities;
    /// The extensions that the source is to have (§3.5.3).
    SourceCapabilities(Vec<Symbol>) |capabilities, link| link.source.capabilities = capabilities;
    /// The extensions that the target is to have (§3.5.4).
    TargetCapabilities(Vec<Symbol>) |capabilities, link| link.target.capabilities = capabilities;
    /// What becomes of a message that is settled without an outcome (§3.5.3).
    DefaultOutcome(DeliveryState) |outcome, link| link.source.default_outcome = Some(outcome);
    /// The outcomes that the receiver may choose from (§3.5.3).
    Outcomes(Vec<Symbol>) |outcomes, link| link.source.outcomes = outcomes;
    /// Extensions of the link that this side supports (§2.7.3).
    OfferedCapabilities(Vec<Symbol>) |capabilities, link| link.offered_capabilities = capabilities;
    /// Extensions of the link that this side may use if the peer supports them (§2.7.3).
    DesiredCapabilities(Vec<Symbol>) |capabilities, link| link.desired_capabilities = capabilities;
    /// Anything else there is to say of the link (§2.7.3).
    LinkProperties(Map) |properties, link| link.properties = Some(properties);
    /// The largest message that this side takes, in bytes (§2.7.3).
    MaxMessageSize(u64) |size, link| link.max_message_size = Some(size);
    /// The target is a coordinator of transactions that can do this, or is to (§4.5.7). For a link that a peer attached to
    /// one, this is the answer of a resource.
    CoordinatorCapabilities(Vec<Symbol>) |capabilities, link|
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
