//! The three performatives of every message, `transfer`, `flow` and `disposition`, read and written by hand.
//!
//! They agree with what [`composite!`](super::composite) makes of the tables in all but speed.

use alloc::vec::Vec;

use super::{Encode, parse::Parsed};
use crate::{
    Serial,
    types::{DeliveryState, DeliveryTag, Disposition, Flow, Handle, ReceiverSettleMode, Transfer},
};

/// The fields of a transfer that is to be written; nothing is copied into it.
#[derive(Clone, Copy, Default)]
pub(crate) struct TransferHead<'a> {
    pub(crate) handle: Handle,
    pub(crate) delivery_id: Option<Serial>,
    pub(crate) delivery_tag: Option<&'a DeliveryTag>,
    pub(crate) message_format: Option<u32>,
    pub(crate) settled: Option<bool>,
    pub(crate) more: bool,
    pub(crate) rcv_settle_mode: Option<ReceiverSettleMode>,
    pub(crate) state: Option<&'a DeliveryState>,
    pub(crate) resume: bool,
    pub(crate) aborted: bool,
    pub(crate) batchable: bool,
}

/// Writes a transfer, descriptor included.
pub(crate) fn write_transfer(out: &mut Vec<u8>, head: &TransferHead<'_>) {
    Transfer {
        handle: head.handle,
        delivery_id: head.delivery_id,
        delivery_tag: head.delivery_tag.copied(),
        message_format: head.message_format,
        settled: head.settled,
        more: head.more,
        rcv_settle_mode: head.rcv_settle_mode,
        state: head.state.cloned(),
        resume: head.resume,
        aborted: head.aborted,
        batchable: head.batchable,
    }
    .encode(out);
}

/// Writes a flow, descriptor included.
pub(crate) fn write_flow(out: &mut Vec<u8>, flow: &Flow) {
    flow.encode(out);
}

/// Writes a disposition, descriptor included.
pub(crate) fn write_disposition(out: &mut Vec<u8>, disposition: &Disposition) {
    disposition.encode(out);
}

/// Reads a transfer from its list on; what is left is the payload.
pub(crate) fn transfer(list: &[u8]) -> Parsed<'_, Transfer> {
    Transfer::parse_list(list)
}

/// Reads a flow from its list on.
pub(crate) fn flow(list: &[u8]) -> Parsed<'_, Flow> {
    Flow::parse_list(list)
}

/// Reads a disposition from its list on.
pub(crate) fn disposition(list: &[u8]) -> Parsed<'_, Disposition> {
    Disposition::parse_list(list)
}
