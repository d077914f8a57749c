//! The server's side of the exchange, §5.3.2.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use bytes::Bytes;

use super::{
    Channel, Identity, SaslError, Server, ServerMechanism, ServerStep,
    exchange::{Frame, Writer},
};
use crate::{
    codec::{Str, Symbol},
    types::{SaslChallenge, SaslCode, SaslInit, SaslMechanisms, SaslOutcome},
};

pub(super) struct ServerExchange {
    offered: Vec<(Symbol, Box<dyn ServerMechanism>)>,
    /// The one that waits for an answer to its challenge.
    chosen: Option<(Symbol, Box<dyn ServerMechanism>)>,
    challenges: u32,
    round_limit: u32,
}

impl ServerExchange {
    pub(super) fn new(config: &Server, channel: &Channel) -> Self {
        let offer = |(name, start): &(Symbol, alloc::sync::Arc<super::NewServer>)| {
            Some((name.clone(), start(channel)?))
        };
        Self {
            offered: config.mechanisms.iter().filter_map(offer).collect(),
            chosen: None,
            challenges: 0,
            round_limit: config.limits.rounds,
        }
    }

    //= 5.3.2-01
    pub(super) fn start(&self, writer: &mut Writer<'_>) -> Result<(), SaslError> {
        if self.offered.is_empty() {
            return Err(SaslError::NothingToOffer);
        }
        let names = self.offered.iter().map(|(name, _)| name.clone()).collect();
        writer.send(&SaslMechanisms { sasl_server_mechanisms: names })
    }

    pub(super) fn handle(
        &mut self,
        frame: Frame,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Identity>, SaslError> {
        match (frame, self.chosen.take()) {
            (Frame::Init(init), None) => self.init(init, writer),
            (Frame::Response(response), Some((name, mut mechanism))) => {
                let step = mechanism.respond(&response.response);
                self.step(step, name, mechanism, writer)
            }
            (frame, _) => Err(frame.unexpected()),
        }
    }

    fn init(&mut self, init: SaslInit, writer: &mut Writer<'_>) -> Result<Option<Identity>, SaslError> {
        let offered = core::mem::take(&mut self.offered);
        match offered.into_iter().find(|(name, _)| *name == init.mechanism) {
            Some((name, mut mechanism)) => {
                let step = mechanism.start(init.initial_response.as_deref());
                self.step(step, name, mechanism, writer)
            }
            None => {
                //= 5.3.3.2-01
                writer.send(&SaslOutcome { code: SaslCode::Auth, additional_data: None })?;
                Err(SaslError::NotOffered { mechanism: init.mechanism })
            }
        }
    }

    fn step(
        &mut self,
        step: ServerStep,
        name: Symbol,
        mechanism: Box<dyn ServerMechanism>,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Identity>, SaslError> {
        match step {
            ServerStep::Challenge(challenge) => {
                if self.challenges == self.round_limit {
                    return Err(SaslError::TooManyRounds { limit: self.round_limit });
                }
                self.challenges += 1;
                writer.send(&SaslChallenge { challenge: Bytes::from(challenge) })?;
                self.chosen = Some((name, mechanism));
                Ok(None)
            }
            ServerStep::Accepted { user, additional_data } => {
                let additional_data = additional_data.map(Bytes::from);
                writer.send(&SaslOutcome { code: SaslCode::Ok, additional_data })?;
                Ok(Some(Identity { user: user.map(Str::from), mechanism: name }))
            }
            ServerStep::Refused(refusal) => {
                writer.send(&SaslOutcome { code: refusal.code(), additional_data: None })?;
                Err(SaslError::Refused(refusal))
            }
        }
    }
}

impl fmt::Debug for ServerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerExchange")
            .field("offered", &self.offered.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("chosen", &self.chosen.as_ref().map(|(name, _)| name))
            .field("challenges", &self.challenges)
            .finish_non_exhaustive()
    }
}
