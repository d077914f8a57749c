use core::time::Duration;

use super::{Address, Reconnect};
use crate::{
    Config, Limits, SessionConfig,
    codec::{Fields, Str, Symbols},
    sasl::Sasl,
};

/// What a [`Container`](super::Container) is and how far it goes.
#[derive(Clone, Debug)]
pub struct ContainerOptions {
    /// The container's name, by which its peers know it again (§2.4.1); without one it is made from the seed.
    pub container_id: Option<Str>,
    /// Where names that must not repeat come from, and what is drawn at random: a driver gives each container another number.
    pub seed: u64,
    /// For connections made or accepted without options of their own.
    pub connection: ConnectionOptions,
    /// How many messages a sender keeps that cannot be sent yet. Default 1,000.
    pub send_queue_messages: usize,
    /// How many bytes a sender keeps that cannot be sent yet; a single message may be larger. Default 1 MiB.
    pub send_queue_bytes: usize,
    /// How many injected events wait to be handled. Default 10,000.
    pub injected_events: usize,
    /// How many links that peers have made, with [`ExactlyOnce`](super::ExactlyOnce) or the like, are kept when their
    /// connection is lost, for the peer to resume them (§2.6.3): 0, the default, for none.
    ///
    /// A peer is known by its container-id, and by its user if it has authenticated as one. When it attaches the link again
    /// under its name, with an unsettled map, the link goes on; to the handler it is a new link, and for a sender the outcomes
    /// of what was sent before come there, under the old tags. With one above the limit the oldest is forgotten, of whose
    /// messages [`on_in_doubt`](super::Handler::on_in_doubt) tells. Each holds no more than it did while it was attached. A
    /// link that is closed, whose session is ended, or whose connection is closed without an error, is not kept.
    pub suspended_links: usize,
}

impl Default for ContainerOptions {
    fn default() -> Self {
        Self {
            container_id: None,
            seed: 0,
            connection: ConnectionOptions::default(),
            send_queue_messages: 1_000,
            send_queue_bytes: 1 << 20,
            injected_events: 10_000,
            suspended_links: 0,
        }
    }
}

/// What a connection says of itself and how far it goes.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// The host that the peer is to be (§2.7.1); without one it is the address's.
    pub virtual_host: Option<Str>,
    /// How the sides authenticate.
    pub security: Security,
    /// Sends a password over a byte stream that is not encrypted; without this PLAIN is never used there.
    pub allow_clear_text: bool,
    /// The largest frame that this side takes, in bytes (§2.7.1). Default 128 KiB.
    pub max_frame_size: u32,
    /// The highest channel number that the peer may use (§2.7.1). Default 255.
    pub channel_max: u16,
    /// After how long a silence the peer counts as dead (§2.4.5); without one, never.
    pub idle_time_out: Option<Duration>,
    /// Extensions that this side supports.
    pub offered_capabilities: Symbols,
    /// Extensions that this side may use if the peer supports them.
    pub desired_capabilities: Symbols,
    /// Anything else there is to say.
    pub properties: Option<Fields>,
    /// How far the peer may go.
    pub limits: Limits,
    /// Keeps a line of text for each frame, for `poll_trace`.
    pub trace: bool,
    /// What becomes of a connection of this side that is lost, or not to be had.
    pub reconnect: Reconnect,
    /// For sessions made without a configuration of their own, by either side.
    pub session: SessionConfig,
}

impl ConnectionOptions {
    /// What a connection to `address` is made with.
    ///
    /// For those who drive a [`Connection`](crate::Connection) of their own and not a container.
    #[must_use]
    pub fn client_config(&self, container_id: Str, address: &Address) -> Config {
        let hostname = self.virtual_host.clone().unwrap_or_else(|| address.host.as_str().into());
        let sasl = match &self.security {
            Security::Auto => Some(self.client_sasl(address)),
            Security::None => None,
            Security::Sasl(sasl) => Some(sasl.clone()),
        };
        Config { hostname: Some(hostname), sasl, ..self.config(Config::client(container_id)) }
    }

    /// What both sides take from these options.
    pub(super) fn config(&self, base: Config) -> Config {
        Config {
            max_frame_size: self.max_frame_size,
            channel_max: self.channel_max,
            idle_time_out: self.idle_time_out,
            offered_capabilities: self.offered_capabilities.clone(),
            desired_capabilities: self.desired_capabilities.clone(),
            properties: self.properties.clone(),
            session: self.session.clone(),
            limits: self.limits.clone(),
            trace: self.trace,
            ..base
        }
    }

    /// As the address's user, else as whom a certificate shows, else as nobody.
    fn client_sasl(&self, address: &Address) -> Sasl {
        let client = match &address.user {
            Some(user) => {
                let password = address.password.clone().unwrap_or_else(|| "".into());
                Sasl::client().plain(user.clone(), password)
            }
            None => Sasl::client().external_if_shown().anonymous(),
        };
        let client = if self.allow_clear_text { client.allow_clear_text() } else { client };
        client.into()
    }
}

/// How the sides of a connection authenticate.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// Connecting: as the address's user by SASL PLAIN, else by EXTERNAL as whom our certificate shows, if we have one, else
    /// as nobody. Listening: everybody is let in, as whom a certificate shows or as nobody, with SASL or without.
    #[default]
    Auto,
    /// No SASL layer.
    None,
    /// As told.
    Sasl(Sasl),
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        let config = Config::client("");
        Self {
            virtual_host: None,
            security: Security::Auto,
            allow_clear_text: false,
            max_frame_size: config.max_frame_size,
            channel_max: config.channel_max,
            idle_time_out: config.idle_time_out,
            offered_capabilities: Symbols::new(),
            desired_capabilities: Symbols::new(),
            properties: None,
            limits: config.limits,
            trace: false,
            reconnect: Reconnect::default(),
            session: SessionConfig::default(),
        }
    }
}
