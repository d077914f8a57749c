//! The settings of a connection, as lines.

use alloc::string::String;
use core::time::Duration;

use super::{
    Line,
    argument::{Words, begin_of, encoded, unexpected},
    side_name,
};
use crate::{Config, Instant, Side, sasl::Sasl, types::Open};

/// Writes all that a replay needs to know.
pub(super) fn write(line: &mut Line<'_>, config: &Config) {
    let open = Open {
        hostname: config.hostname.clone(),
        max_frame_size: config.max_frame_size,
        channel_max: config.channel_max,
        offered_capabilities: config.offered_capabilities.clone(),
        desired_capabilities: config.desired_capabilities.clone(),
        properties: config.properties.clone(),
        ..Open::new(config.container_id.clone())
    };
    line.push("side ");
    line.push(side_name(config.side));
    line.push("\nopen ");
    line.hex(&encoded(&open));
    line.push("\nsession ");
    line.hex(&encoded(&begin_of(&config.session)));
    line.push("\nlimits");
    let limits = &config.limits;
    let times = [
        ("idle-time-out", config.idle_time_out),
        ("handshake-timeout", Some(limits.handshake_timeout)),
        ("close-timeout", Some(limits.close_timeout)),
    ];
    for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
        line.display(format_args!(" {name}="));
        line.duration(time);
    }
    let counts = [
        ("idle-share", config.idle_share.get() as usize),
        ("unsettled", limits.unsettled),
        ("unread-bytes", limits.unread_bytes),
        ("events", limits.events),
        ("output-high-water", limits.output_high_water),
        ("output-stop-reading", limits.output_stop_reading),
    ];
    for (name, count) in counts {
        line.display(format_args!(" {name}={count}"));
    }
    line.push(if config.sasl.is_some() { "\nsasl\n" } else { "\n" });
}

/// Reads one of those lines: whether it is one.
pub(super) fn read(config: &mut Config, name: &str, words: &mut Words<'_>) -> Result<bool, String> {
    match name {
        "side" => {
            let word = words.word("a side")?;
            let side = [Side::Client, Side::Server].into_iter().find(|side| side_name(*side) == word);
            config.side = side.ok_or_else(|| unexpected("client or server", word))?;
        }
        "open" => {
            let open: Open = words.value()?;
            config.container_id = open.container_id;
            config.hostname = open.hostname;
            config.max_frame_size = open.max_frame_size;
            config.channel_max = open.channel_max;
            config.offered_capabilities = open.offered_capabilities;
            config.desired_capabilities = open.desired_capabilities;
            config.properties = open.properties;
        }
        "session" => config.session = words.session_config()?,
        "limits" => {
            while let Ok(word) = words.word("a limit") {
                limit(config, word)?;
            }
        }
        // Which one it is does not matter: it is not run.
        "sasl" => config.sasl = Some(Sasl::client().into()),
        _ => return Ok(false),
    }
    Ok(true)
}

fn limit(config: &mut Config, word: &str) -> Result<(), String> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let wrong = || unexpected("a limit", word);
    let limits = &mut config.limits;
    match name {
        "idle-time-out" => config.idle_time_out = Some(duration(value).ok_or_else(wrong)?),
        "handshake-timeout" => limits.handshake_timeout = duration(value).ok_or_else(wrong)?,
        "close-timeout" => limits.close_timeout = duration(value).ok_or_else(wrong)?,
        "idle-share" => config.idle_share = value.parse().map_err(|_| wrong())?,
        "unsettled" => limits.unsettled = value.parse().map_err(|_| wrong())?,
        "unread-bytes" => limits.unread_bytes = value.parse().map_err(|_| wrong())?,
        "events" => limits.events = value.parse().map_err(|_| wrong())?,
        "output-high-water" => limits.output_high_water = value.parse().map_err(|_| wrong())?,
        "output-stop-reading" => limits.output_stop_reading = value.parse().map_err(|_| wrong())?,
        _ => return Err(wrong()),
    }
    Ok(())
}

/// Seconds and nine digits behind the point.
fn duration(text: &str) -> Option<Duration> {
    let (seconds, nanos) = text.split_once('.').filter(|(_, nanos)| nanos.len() == 9)?;
    Some(Duration::new(seconds.parse().ok()?, 0).saturating_add(Duration::from_nanos(nanos.parse().ok()?)))
}

/// The moment of what follows.
pub(super) fn moment(words: &mut Words<'_>) -> Result<Instant, String> {
    let word = words.word("a moment")?;
    duration(word).map(Instant::from_epoch).ok_or_else(|| unexpected("seconds with nine decimals", word))
}
