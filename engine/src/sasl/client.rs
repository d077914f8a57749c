//! The client's side of the exchange, §5.3.2.

use alloc::boxed::Box;
use core::fmt;

use bytes::Bytes;

use super::{
    Channel, Client, ClientMechanism, EXTERNAL, Identity, Refusal, SaslError,
    exchange::{Frame, Writer},
};
use crate::{
    codec::{Str, Symbol, Symbols},
    types::{SaslChallenge, SaslInit, SaslOutcome, SaslResponse},
};

pub(super) struct ClientExchange {
    config: Client,
    hostname: Option<Str>,
    channel: Channel,
    chosen: Option<Chosen>,
}

struct Chosen {
    name: Symbol,
    mechanism: Box<dyn ClientMechanism>,
    challenges: u32,
}

impl ClientExchange {
    pub(super) const fn new(config: Client, hostname: Option<Str>, channel: Channel) -> Self {
        Self { config, hostname, channel, chosen: None }
    }

    /// What the channel gives is known only now: whether that can still matter.
    pub(super) fn secured(&mut self, channel: &Channel) -> bool {
        let waits = self.chosen.is_none();
        if waits {
            self.channel = channel.clone();
        }
        waits
    }

    pub(super) fn handle(
        &mut self,
        frame: Frame,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Identity>, SaslError> {
        match (frame, &mut self.chosen) {
            (Frame::Mechanisms(mechanisms), None) => {
                self.init(mechanisms.sasl_server_mechanisms, writer)?;
                Ok(None)
            }
            (Frame::Challenge(challenge), Some(chosen)) => {
                chosen.respond(&challenge, self.config.limits.rounds, writer)?;
                Ok(None)
            }
            (Frame::Outcome(outcome), Some(chosen)) => chosen.finish(&outcome).map(Some),
            (frame, _) => Err(frame.unexpected()),
        }
    }

    //= 5.3.2-02
    fn init(&mut self, offered: Symbols, writer: &mut Writer<'_>) -> Result<(), SaslError> {
        let mut chosen = self.choose(offered)?;
        let initial_response = chosen.mechanism.start().map_err(SaslError::Mechanism)?;
        writer.send(&SaslInit {
            mechanism: chosen.name.clone(),
            initial_response: initial_response.map(Bytes::from),
            hostname: self.hostname.take(),
        })?;
        self.chosen = Some(chosen);
        Ok(())
    }

    /// The first of our mechanisms that is offered, too, and would not give a secret away.
    //= 5.3.3.2-02
    fn choose(&self, offered: Symbols) -> Result<Chosen, SaslError> {
        let may_reveal = self.channel.encrypted || self.config.clear_text;
        let mut held_back = None;
        for (name, start) in &self.config.mechanisms {
            let would_fail = *name == EXTERNAL && self.config.external_if_shown && !self.channel.shows_us;
            if would_fail || !offered.contains(name) {
                continue;
            }
            let mechanism = start();
            if may_reveal || !mechanism.needs_encryption() {
                return Ok(Chosen { name: name.clone(), mechanism, challenges: 0 });
            }
            held_back.get_or_insert_with(|| name.clone());
        }
        Err(match held_back {
            Some(mechanism) => SaslError::ClearText { mechanism },
            None => SaslError::NoCommonMechanism { offered },
        })
    }
}

impl Chosen {
    fn respond(
        &mut self,
        challenge: &SaslChallenge,
        limit: u32,
        writer: &mut Writer<'_>,
    ) -> Result<(), SaslError> {
        if self.challenges == limit {
            return Err(SaslError::TooManyRounds { limit });
        }
        self.challenges += 1;
        let response = self.mechanism.respond(&challenge.challenge).map_err(SaslError::Mechanism)?;
        writer.send(&SaslResponse { response: Bytes::from(response) })
    }

    fn finish(&mut self, outcome: &SaslOutcome) -> Result<Identity, SaslError> {
        if let Some(refusal) = Refusal::from_code(outcome.code) {
            return Err(SaslError::Refused(refusal));
        }
        self.mechanism.finish(outcome.additional_data.as_deref()).map_err(SaslError::Mechanism)?;
        Ok(Identity { user: None, mechanism: self.name.clone() })
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientExchange")
            .field("config", &self.config)
            .field("hostname", &self.hostname)
            .field("channel", &self.channel)
            .field("chosen", &self.chosen.as_ref().map(|chosen| &chosen.name))
            .finish()
    }
}
