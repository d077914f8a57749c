//! The states of a connection (§2.4.6).

/// Where a connection stands (§2.4.6), in the words of the specification.
///
/// "Pipe" states are those in which frames were written before the peer's header or open arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nothing was exchanged.
    Start,
    /// The peer's protocol header has arrived, ours was not sent.
    HeaderReceived,
    /// Our protocol header was sent.
    HeaderSent,
    /// Both headers were exchanged.
    HeaderExchanged,
    /// Header and open were sent, nothing has arrived.
    OpenPipe,
    /// Header, open and close were sent, nothing has arrived.
    OpenClosePipe,
    /// The peer's open has arrived, ours was not sent.
    OpenReceived,
    /// Headers were exchanged and our open was sent.
    OpenSent,
    /// Headers were exchanged, our open and close were sent, the peer's open has not arrived.
    ClosePipe,
    /// Both opens were exchanged: in normal use.
    Opened,
    /// The peer's close has arrived: nothing more will be read, we may still write.
    CloseReceived,
    /// Our close was sent: nothing more will be written, the peer may still send.
    CloseSent,
    /// Our close carried an error: what still arrives is dropped until the peer's close.
    Discarding,
    /// Both closes were exchanged, or the transport is gone.
    End,
}

/// What has passed in one direction; two of them are the state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Nothing,
    Header,
    Open,
    Close,
}

/// Both directions, from which [`ConnectionState`] follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionProgress {
    pub(crate) sent: Progress,
    pub(crate) received: Progress,
    /// Our close carried an error.
    pub(crate) discarding: bool,
    /// The transport is gone.
    pub(crate) lost: bool,
    /// A frame of the peer had a wrong size: what follows cannot be cut into frames any more.
    pub(crate) garbled: bool,
}

impl ConnectionProgress {
    pub(crate) const fn new() -> Self {
        Self {
            sent: Progress::Nothing,
            received: Progress::Nothing,
            discarding: false,
            lost: false,
            garbled: false,
        }
    }

    /// The table of §2.4.6: what was sent down, what was received across.
    pub(crate) const fn state(self) -> ConnectionState {
        use ConnectionState as S;
        use Progress::{Close, Header, Nothing, Open};
        if self.lost {
            return S::End;
        }
        match (self.sent, self.received) {
            (Nothing, Nothing) => S::Start,
            (Nothing, Header) => S::HeaderReceived,
            (Header, Nothing) => S::HeaderSent,
            (Header, Header) => S::HeaderExchanged,
            (Open, Nothing) => S::OpenPipe,
            (Open, Header) => S::OpenSent,
            (Close, Nothing) => S::OpenClosePipe,
            (Close, Header) => S::ClosePipe,
            (Nothing | Header, Open) => S::OpenReceived,
            (Open, Open) => S::Opened,
            (Nothing | Header | Open, Close) => S::CloseReceived,
            (Close, Open) if self.discarding => S::Discarding,
            (Close, Open) => S::CloseSent,
            (Close, Close) => S::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w04_the_matrix_of_2_4_6() {
        use ConnectionState as S;
        use Progress::{Close, Header, Nothing, Open};
        let order = [Nothing, Header, Open, Close];
        let matrix = [
            [S::Start, S::HeaderReceived, S::OpenReceived, S::CloseReceived],
            [S::HeaderSent, S::HeaderExchanged, S::OpenReceived, S::CloseReceived],
            [S::OpenPipe, S::OpenSent, S::Opened, S::CloseReceived],
            [S::OpenClosePipe, S::ClosePipe, S::CloseSent, S::End],
        ];
        for (sent, row) in order.into_iter().zip(matrix) {
            for (received, state) in order.into_iter().zip(row) {
                let progress = ConnectionProgress { sent, received, ..ConnectionProgress::new() };
                assert_eq!(progress.state(), state, "sent {sent:?}, received {received:?}");
                assert_eq!(ConnectionProgress { lost: true, ..progress }.state(), S::End);
            }
        }
        let failed =
            ConnectionProgress { sent: Close, received: Open, discarding: true, ..ConnectionProgress::new() };
        assert_eq!(failed.state(), S::Discarding);
    }
}
