//! The settlement modes (§2.6.12): one table.

use crate::types::{ReceiverSettleMode, SenderSettleMode};

/// The modes in force when one end asks for `ours` and the other answers `theirs`: each mode is the business of its
/// own end (§2.7.3), so the sender's word on `snd_settle_mode` holds, and the receiver's on `rcv_settle_mode`.
pub(crate) fn negotiate(
    we_send: bool,
    ours: (SenderSettleMode, ReceiverSettleMode),
    theirs: (SenderSettleMode, ReceiverSettleMode),
) -> (SenderSettleMode, ReceiverSettleMode) {
    if we_send { (ours.0, theirs.1) } else { (theirs.0, ours.1) }
}

/// Whether a delivery that is complete may be settled so under this mode (§2.7.5 settled).
//= 2.7.5-10 2.7.5-11
pub(crate) const fn allows(mode: SenderSettleMode, settled: bool) -> bool {
    matches!(
        (mode, settled),
        (SenderSettleMode::Mixed, _)
            | (SenderSettleMode::Settled, true)
            | (SenderSettleMode::Unsettled, false)
    )
}

/// Whether the receiver settles at once when it has decided, or waits for the sender to settle first (§2.8.3).
//= 2.7.5-15 2.7.5-16
pub(crate) const fn receiver_settles_first(mode: ReceiverSettleMode, sender_settled: bool) -> bool {
    sender_settled || matches!(mode, ReceiverSettleMode::First)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReceiverSettleMode::{First, Second};
    use SenderSettleMode::{Mixed, Settled, Unsettled};

    #[test]
    fn each_end_has_the_say_over_its_own_mode() {
        assert_eq!(negotiate(true, (Unsettled, First), (Mixed, Second)), (Unsettled, Second));
        assert_eq!(negotiate(false, (Unsettled, First), (Mixed, Second)), (Mixed, First));
    }

    //= 2.7.5-10 2.7.5-11
    #[test]
    fn d9_the_table_of_2_7_5() {
        for (mode, settled, allowed) in [
            (Mixed, true, true),
            (Mixed, false, true),
            (Settled, true, true),
            (Settled, false, false),
            (Unsettled, true, false),
            (Unsettled, false, true),
        ] {
            assert_eq!(allows(mode, settled), allowed, "{mode:?} {settled}");
        }
    }

    //= 2.7.5-15 2.7.5-16
    #[test]
    fn w18_second_waits_for_the_sender() {
        assert!(receiver_settles_first(First, false));
        assert!(!receiver_settles_first(Second, false));
        assert!(receiver_settles_first(Second, true));
    }
}
