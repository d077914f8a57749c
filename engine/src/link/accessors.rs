//! What a sender and a receiver have in common.

/// Writes the methods that [`Sender`](super::Sender) and [`Receiver`](super::Receiver) share.
macro_rules! link_accessors {
    ($accessor:ident) => {
        impl $accessor<'_> {
            #[inline]
            fn endpoint(&self) -> &$crate::link::LinkEndpoint {
                self.connection.links.get(self.id.0).expect("looked up when the accessor was made")
            }

            #[inline]
            fn endpoint_mut(&mut self) -> &mut $crate::link::LinkEndpoint {
                self.connection.links.get_mut(self.id.0).expect("looked up when the accessor was made")
            }

            /// The link's id.
            #[must_use]
            pub fn id(&self) -> $crate::LinkId {
                self.id
            }

            /// The session that the link is attached to.
            #[must_use]
            pub fn session(&self) -> $crate::SessionId {
                $crate::SessionId(self.endpoint().session)
            }

            /// The link's name (§2.6.1).
            #[must_use]
            pub fn name(&self) -> &str {
                self.endpoint().name.as_str()
            }

            /// Where the link stands.
            #[must_use]
            pub fn state(&self) -> $crate::LinkState {
                self.endpoint().state
            }

            /// Our last `attach` (§2.7.3), once there was one. It is kept encoded and read at each call.
            #[must_use]
            pub fn local_attach(&self) -> Option<$crate::types::Attach> {
                self.endpoint().local_attach.as_ref()?.read()
            }

            /// All that this end needs to be resumed elsewhere (§2.6.3), once we have attached it: its settings, and the
            /// deliveries that are not settled.
            ///
            /// A sender names what it has not settled: an outcome that the receiver has told, else that the message can
            /// be sent again, which is for the program to keep. A receiver names what it has told a state of and has not
            /// settled: an outcome on a link that settles second, or how much it has
            /// [received](crate::types::Received::end_of) and keeps. All else is as if it had not arrived.
            ///
            /// It can be read as long as the link, be it that the connection is gone; to be resumed in the same
            /// connection, as long as the link is not closed, the link is just [attached](Self::attach) again.
            #[must_use]
            pub fn terminus_state(&self) -> Option<$crate::TerminusState> {
                self.connection.terminus_state(self.id.0)
            }

            /// Whether an unsettled map of this attachment was incomplete, ours or the peer's: no new delivery is
            /// sent. Once all is done for what [`unresolved`](Self::unresolved) names and can be done, both sides
            /// detach and attach again (§2.6.13).
            #[must_use]
            pub fn must_reattach(&self) -> bool {
                self.connection.must_reattach(self.id.0)
            }

            /// The peer's `attach` (§2.7.3), once it has arrived: its source is in force when the peer sends, its
            /// target when the peer receives (§2.6.3). It is kept encoded and read at each call.
            #[must_use]
            pub fn remote_attach(&self) -> Option<$crate::types::Attach> {
                self.endpoint().remote_attach.as_ref()?.read()
            }

            /// The sender settle mode in force (§2.8.2).
            #[must_use]
            pub fn snd_settle_mode(&self) -> $crate::types::SenderSettleMode {
                self.endpoint().snd_settle_mode
            }

            /// The receiver settle mode in force (§2.8.3).
            #[must_use]
            pub fn rcv_settle_mode(&self) -> $crate::types::ReceiverSettleMode {
                self.endpoint().rcv_settle_mode
            }

            /// What the peer's last flow for this link carried besides numbers (§2.7.4 properties). One that carried nothing
            /// does not hide what came before it and was not told by [`Event::LinkFlow`](crate::Event::LinkFlow) yet.
            #[must_use]
            pub fn flow_properties(&self) -> Option<&$crate::codec::Fields> {
                self.endpoint().flow_properties.as_deref()
            }

            /// Sends a flow that carries `properties` besides the numbers (§2.7.4 properties). Those that do not fit a
            /// frame of the peer are left out.
            pub fn send_flow_properties(&mut self, properties: $crate::codec::Fields) {
                self.connection
                    .common
                    .record(|tape| tape.call("send_flow_properties", &[&self.id, &properties]));
                let link = self.endpoint_mut();
                link.flow_properties_due = Some(::alloc::boxed::Box::new(properties));
                link.flow_due = true;
                let id = self.id;
                self.connection.mark_link(id.0);
            }

            /// How many deliveries of this link are not settled, or not taken.
            #[must_use]
            pub fn unsettled(&self) -> usize {
                self.endpoint().live as usize
            }

            /// Answers the peer's `attach`, or attaches again a link that is detached and not closed (§2.6.3, §2.6.4).
            /// The name in `config` is ignored.
            ///
            /// Where `config` names no unsettled deliveries, and the peer resumes the link or is to go on resuming it,
            /// those of [`terminus_state`](Self::terminus_state) are named: they have no ids until they are resumed.
            ///
            /// # Errors
            ///
            /// [`Misuse::NothingToAnswer`](crate::Misuse::NothingToAnswer) when the link is attached on our side,
            /// [`Misuse::SessionNotOpen`](crate::Misuse::SessionNotOpen),
            /// [`Misuse::InvalidTerminus`](crate::Misuse::InvalidTerminus),
            /// [`Misuse::TooManyLinks`](crate::Misuse::TooManyLinks) or
            /// [`Misuse::FrameTooLarge`](crate::Misuse::FrameTooLarge).
            pub fn attach(&mut self, config: $crate::LinkConfig) -> Result<(), $crate::Misuse> {
                self.connection.common.record(|tape| tape.call("attach", &[&self.id, &config]));
                self.connection.answer_attach(self.id.0, config)
            }

            /// Refuses the peer's `attach`: it is answered without a terminus and closed with `error` (§2.6.3).
            ///
            /// # Errors
            ///
            /// [`Misuse::NothingToAnswer`](crate::Misuse::NothingToAnswer) when the link is attached on our side.
            pub fn refuse(&mut self, error: $crate::types::Error) -> Result<(), $crate::Misuse> {
                self.connection.common.record(|tape| tape.call("refuse", &[&self.id, &error]));
                self.connection.refuse_attach(self.id.0, error)
            }

            /// Detaches the link and keeps its terminus: it may be attached again under its name (§2.6.4).
            ///
            /// # Errors
            ///
            /// [`Misuse::LinkNotOpen`](crate::Misuse::LinkNotOpen) when it is not attached on our side.
            pub fn detach(&mut self) -> Result<(), $crate::Misuse> {
                self.connection.common.record(|tape| tape.call("detach", &[&self.id]));
                self.connection.detach_link(self.id.0, false, None)
            }

            /// Closes the link for good (§2.6.6), with an error if something went wrong (§2.6.5). What was sent before
            /// still goes out; deliveries that are not settled are forgotten once the peer has answered.
            ///
            /// # Errors
            ///
            /// [`Misuse::LinkNotOpen`](crate::Misuse::LinkNotOpen) when it was closed before.
            pub fn close(&mut self, error: Option<$crate::types::Error>) -> Result<(), $crate::Misuse> {
                self.connection.common.record(|tape| tape.call("close_link", &[&self.id, &error]));
                self.connection.detach_link(self.id.0, true, error)
            }
        }
    };
}
pub(super) use link_accessors;
