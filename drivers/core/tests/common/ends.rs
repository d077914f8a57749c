//! Both sides of a connection without a socket: two channels, and what goes over the wire between them.

use std::io::{self, ErrorKind};

use amqp1_driver::{Channel, Received, Sent, Spare};
use bytes::{Buf, Bytes};

/// One side: its channel, what it has to say, and what it has heard.
pub(crate) struct End {
    pub(crate) channel: Channel,
    spare: Spare,
    /// Bytes of the engine's that wait to be written.
    pub(crate) output: Bytes,
    pub(crate) heard: Vec<u8>,
    pub(crate) secured: usize,
    pub(crate) eof: bool,
}

impl End {
    pub(crate) fn new(channel: Channel, output: impl Into<Bytes>) -> Self {
        let (spare, output, heard) = (Spare::default(), output.into(), Vec::new());
        Self { channel, spare, output, heard, secured: 0, eof: false }
    }

    /// Writes as a driver does: what goes over the wire.
    pub(crate) fn write(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut wire = Vec::new();
        while !self.channel.wants_write() && (self.output.has_remaining() || self.channel.has_output()) {
            let sent = self.channel.write(&mut self.output, |slices| {
                let before = wire.len();
                for slice in slices {
                    wire.extend_from_slice(&slice[..slice.len().min(most - wire.len())]);
                }
                if wire.len() == before { Err(ErrorKind::WouldBlock.into()) } else { Ok(wire.len() - before) }
            });
            if sent? == Sent::Blocked {
                break;
            }
        }
        self.channel.writable();
        Ok(wire)
    }

    /// Reads as a driver does.
    pub(crate) fn read(&mut self, mut wire: &[u8]) -> io::Result<()> {
        loop {
            let Self { channel, spare, heard, secured, .. } = self;
            let read = |buffer: &mut [u8]| {
                let len = wire.len().min(buffer.len());
                if len == 0 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                wire.copy_to_slice(&mut buffer[..len]);
                Ok(len)
            };
            let take = |input: &mut Bytes| {
                assert_eq!(*secured, 1, "it is told before anything is handed up");
                heard.extend_from_slice(input);
                input.clear();
            };
            match channel.read(spare, read, take)? {
                Received::Secured => self.secured += 1,
                Received::Bytes | Received::Full => {}
                Received::Blocked => return Ok(()),
                Received::Eof => {
                    self.eof = true;
                    return Ok(());
                }
            }
        }
    }
}

/// Both sides, until neither has anything to say: the first thing that went wrong, and on which side.
pub(crate) fn run(client: &mut End, server: &mut End, most: usize) -> Result<(), (&'static str, io::Error)> {
    loop {
        let to_server = client.write(most).map_err(|error| ("client", error))?;
        for part in to_server.chunks(most) {
            server.read(part).map_err(|error| ("server", error))?;
        }
        let to_client = server.write(most).map_err(|error| ("server", error))?;
        for part in to_client.chunks(most) {
            client.read(part).map_err(|error| ("client", error))?;
        }
        if to_server.is_empty() && to_client.is_empty() {
            return Ok(());
        }
    }
}
