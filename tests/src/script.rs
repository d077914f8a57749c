//! Performatives in the words of a script: numbers as numbers, and what a peer says by default.

use amqp1_engine::{
    Serial,
    types::{
        Attach, Begin, DeliveryState, DeliveryTag, Detach, Disposition, Flow, Handle, Open, Role, Target,
        TargetKind, Transfer,
    },
};

/// An `open` of this container.
#[must_use]
pub fn open(container_id: &str) -> Open {
    Open::new(container_id)
}

/// A `begin` with this first transfer-id and these windows.
#[must_use]
pub fn begin(next_outgoing_id: u32, incoming_window: u32, outgoing_window: u32) -> Begin {
    Begin::new(Serial::new(next_outgoing_id), incoming_window, outgoing_window)
}

/// An `attach` with termini, and a delivery-count that starts at 0.
#[must_use]
pub fn attach(name: &str, handle: u32, role: Role) -> Attach {
    Attach {
        source: Some(Box::default()),
        target: Some(Box::new(TargetKind::Target(Target::default()))),
        initial_delivery_count: (role == Role::Sender).then_some(Serial::new(0)),
        ..Attach::new(name, Handle(handle), role)
    }
}

/// A `flow` that speaks of the session alone.
#[must_use]
pub fn flow(incoming_window: u32, next_outgoing_id: u32, outgoing_window: u32) -> Flow {
    Flow::new(incoming_window, Serial::new(next_outgoing_id), outgoing_window)
}

/// A `transfer` that goes on with a delivery, and ends it.
#[must_use]
pub fn transfer(handle: u32) -> Transfer {
    Transfer::new(Handle(handle))
}

/// The first `transfer` of a delivery, whose tag is its id.
#[must_use]
pub fn first(handle: u32, delivery_id: u32) -> Transfer {
    Transfer {
        delivery_id: Some(Serial::new(delivery_id)),
        delivery_tag: Some(DeliveryTag::from(u64::from(delivery_id))),
        message_format: Some(0),
        ..transfer(handle)
    }
}

/// A `disposition` of one delivery.
#[must_use]
pub fn disposition(role: Role, delivery_id: u32) -> Disposition {
    Disposition::new(role, Serial::new(delivery_id))
}

/// A `disposition` that settles one delivery.
#[must_use]
pub fn settled(role: Role, delivery_id: u32, state: DeliveryState) -> Disposition {
    Disposition { settled: true, state: Some(state), ..disposition(role, delivery_id) }
}

/// A `detach` that keeps the terminus.
#[must_use]
pub fn detach(handle: u32) -> Detach {
    Detach::new(Handle(handle))
}

/// A delivery-tag of these bytes.
///
/// # Panics
///
/// When they are more than 32.
#[must_use]
pub fn tag(bytes: impl AsRef<[u8]>) -> DeliveryTag {
    DeliveryTag::new(bytes.as_ref()).expect("a tag of a test is short")
}
