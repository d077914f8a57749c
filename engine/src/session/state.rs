//! The states of a session (§2.5.5).

/// Where a session stands (§2.5.5), in the words of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// Not begun, or ended by both sides.
    Unmapped,
    /// We began it; the peer has not answered.
    BeginSent,
    /// The peer began it; we have not answered.
    BeginReceived,
    /// Begun by both sides: in normal use.
    Mapped,
    /// We ended it; the peer has not.
    EndSent,
    /// The peer ended it; we have not.
    EndReceived,
    /// We ended it with an error: what still arrives is dropped until the peer's end.
    Discarding,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStep {
    SendBegin,
    ReceiveBegin,
    SendEnd,
    SendEndWithError,
    ReceiveEnd,
}

impl SessionState {
    /// The table of §2.5.5; `None` where the step is illegal.
    pub(crate) const fn after(self, step: SessionStep) -> Option<Self> {
        use SessionStep as Step;
        Some(match (self, step) {
            (Self::Unmapped, Step::SendBegin) => Self::BeginSent,
            (Self::Unmapped, Step::ReceiveBegin) => Self::BeginReceived,
            (Self::BeginSent, Step::ReceiveBegin) | (Self::BeginReceived, Step::SendBegin) => Self::Mapped,
            (Self::Mapped | Self::BeginSent, Step::SendEnd) => Self::EndSent,
            (Self::Mapped | Self::BeginSent, Step::SendEndWithError) => Self::Discarding,
            // The answer to a begin that was pipelined with our end.
            (Self::EndSent, Step::ReceiveBegin) => Self::EndSent,
            (Self::Discarding, Step::ReceiveBegin) => Self::Discarding,
            (Self::Mapped | Self::BeginReceived, Step::ReceiveEnd) => Self::EndReceived,
            (Self::EndSent | Self::Discarding, Step::ReceiveEnd) => Self::Unmapped,
            (Self::EndReceived, Step::SendEnd | Step::SendEndWithError) => Self::Unmapped,
            // A peer that ended before we answered its begin: our begin still goes first.
            (Self::EndReceived, Step::SendBegin) => Self::EndReceived,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w04_the_matrix_of_2_5_5() {
        use SessionState::{BeginReceived, BeginSent, Discarding, EndReceived, EndSent, Mapped, Unmapped};
        let steps = [
            SessionStep::SendBegin,
            SessionStep::ReceiveBegin,
            SessionStep::SendEnd,
            SessionStep::SendEndWithError,
            SessionStep::ReceiveEnd,
        ];
        let matrix = [
            (Unmapped, [Some(BeginSent), Some(BeginReceived), None, None, None]),
            (BeginSent, [None, Some(Mapped), Some(EndSent), Some(Discarding), None]),
            (BeginReceived, [Some(Mapped), None, None, None, Some(EndReceived)]),
            (Mapped, [None, None, Some(EndSent), Some(Discarding), Some(EndReceived)]),
            (EndSent, [None, Some(EndSent), None, None, Some(Unmapped)]),
            (EndReceived, [Some(EndReceived), None, Some(Unmapped), Some(Unmapped), None]),
            (Discarding, [None, Some(Discarding), None, None, Some(Unmapped)]),
        ];
        for (state, row) in matrix {
            for (step, next) in steps.into_iter().zip(row) {
                assert_eq!(state.after(step), next, "{state:?} {step:?}");
            }
        }
    }
}
