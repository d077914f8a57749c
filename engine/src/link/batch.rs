//! Many messages sent one after the other on one link.

use bytes::Bytes;

use super::{
    DeliveryId,
    path::SendPath,
    sending::{NewDelivery, TRANSFER_HEAD},
    settle,
};
use crate::{
    LinkId, SendError,
    message::Message,
    types::{DeliveryTag, SenderSettleMode},
};

/// A link on which several messages are sent: see [`Sender::batch`](crate::Sender::batch).
///
/// It sends as the [`Sender`](crate::Sender) does. What stands in the way of sending is asked once, for as many messages as
/// there is room for, since nothing but this can change it meanwhile.
#[derive(Debug)]
pub struct Batch<'a> {
    path: SendPath<'a>,
    /// How many more messages are known to have credit, a place in the window and one among the unsettled.
    room: usize,
    /// The largest payload that is known to fit one frame and the receiver.
    max_len: usize,
    mode: SenderSettleMode,
}

impl<'a> Batch<'a> {
    pub(super) fn new(path: SendPath<'a>) -> Self {
        let max_message_size = path.link.max_message_size.map_or(u64::MAX, Into::into);
        let max_message_size = usize::try_from(max_message_size).unwrap_or(usize::MAX);
        Self {
            room: path.room(),
            max_len: (path.common.outgoing_frame_size - TRANSFER_HEAD).min(max_message_size),
            mode: path.link.snd_settle_mode,
            path,
        }
    }

    /// As [`Sender::send`](crate::Sender::send).
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn send(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        payload: impl Into<Bytes>,
    ) -> Result<DeliveryId, SendError> {
        let payload = payload.into();
        let id = LinkId(self.path.key);
        self.path.common.record(|tape| tape.call("send", &[&id, &tag, &settled, &0_u32, &payload]));
        let delivery = NewDelivery { tag: &tag, settled, message_format: 0, finished: true };
        if self.has_room() && payload.len() <= self.max_len && settle::allows(self.mode, settled) {
            let number = self.path.register(&tag, settled)?;
            self.path.write_whole(number, &delivery, payload);
            self.sent_one();
            return Ok(DeliveryId::new(self.path.key, number));
        }
        let sent = self.path.send_payload(delivery, payload);
        self.room = self.path.room();
        sent
    }

    /// As [`Sender::send_message`](crate::Sender::send_message).
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn send_message(
        &mut self,
        tag: DeliveryTag,
        settled: bool,
        message: &Message,
    ) -> Result<DeliveryId, SendError> {
        let id = LinkId(self.path.key);
        self.path.common.record(|tape| tape.call("send_message", &[&id, &tag, &settled, &message]));
        let delivery = NewDelivery { tag: &tag, settled, message_format: 0, finished: true };
        if self.has_room() && settle::allows(self.mode, settled) {
            let number = self.path.register(&tag, settled)?;
            self.path.write_message(number, delivery, message)?;
            self.sent_one();
            return Ok(DeliveryId::new(self.path.key, number));
        }
        let sent = self.path.send_message(delivery, message);
        self.room = self.path.room();
        sent
    }

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.room > 0 && !self.path.is_output_full()
    }

    #[inline(always)]
    fn sent_one(&mut self) {
        self.room -= 1;
        if !self.has_room() {
            self.path.wait_if_full();
        }
    }
}
