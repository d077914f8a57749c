//! The states of a link endpoint on its session (§2.6.3 to §2.6.6).

/// Where a link endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// Not attached, by either side.
    Detached,
    /// We attached; the peer has not answered.
    AttachSent,
    /// The peer attached; we have not answered.
    AttachReceived,
    /// Attached by both sides: in normal use.
    Attached,
    /// We detached; the peer has not.
    DetachSent,
    /// The peer detached; we have not.
    DetachReceived,
}

/// What happens to a link endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkStep {
    SendAttach,
    ReceiveAttach,
    SendDetach,
    ReceiveDetach,
}

impl LinkState {
    /// The table; `None` where the step is illegal.
    pub(crate) const fn after(self, step: LinkStep) -> Option<Self> {
        use LinkStep as Step;
        Some(match (self, step) {
            (Self::Detached, Step::SendAttach) => Self::AttachSent,
            (Self::Detached, Step::ReceiveAttach) => Self::AttachReceived,
            (Self::AttachSent, Step::ReceiveAttach) | (Self::AttachReceived, Step::SendAttach) => {
                Self::Attached
            }
            (Self::Attached | Self::AttachSent, Step::SendDetach) => Self::DetachSent,
            // The answer to an attach that was pipelined with our detach.
            (Self::DetachSent, Step::ReceiveAttach) => Self::DetachSent,
            (Self::Attached | Self::AttachReceived, Step::ReceiveDetach) => Self::DetachReceived,
            (Self::DetachSent, Step::ReceiveDetach) | (Self::DetachReceived, Step::SendDetach) => {
                Self::Detached
            }
            // A peer that detached before we answered its attach: our attach still goes first.
            (Self::DetachReceived, Step::SendAttach) => Self::DetachReceived,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w04_the_matrix_of_a_link() {
        use LinkState::{AttachReceived, AttachSent, Attached, DetachReceived, DetachSent, Detached};
        let steps =
            [LinkStep::SendAttach, LinkStep::ReceiveAttach, LinkStep::SendDetach, LinkStep::ReceiveDetach];
        let matrix = [
            (Detached, [Some(AttachSent), Some(AttachReceived), None, None]),
            (AttachSent, [None, Some(Attached), Some(DetachSent), None]),
            (AttachReceived, [Some(Attached), None, None, Some(DetachReceived)]),
            (Attached, [None, None, Some(DetachSent), Some(DetachReceived)]),
            (DetachSent, [None, Some(DetachSent), None, Some(Detached)]),
            (DetachReceived, [Some(DetachReceived), None, Some(Detached), None]),
        ];
        for (state, row) in matrix {
            for (step, next) in steps.into_iter().zip(row) {
                assert_eq!(state.after(step), next, "{state:?} {step:?}");
            }
        }
    }
}
