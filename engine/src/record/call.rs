//! Calls made again.

use alloc::{format, string::String};
use core::fmt::{self, Debug};

use super::argument::{Words, unexpected};
use crate::{Connection, Misuse, Receiver, Sender, Session, types::Role};

/// Makes the call that the words describe, and shows what came of it.
///
/// That a call is refused again need not be compared: all that follows depends on it.
pub(super) fn perform(
    connection: &mut Connection,
    words: &mut Words<'_>,
    show: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<(), String> {
    let name = words.word("the name of a call")?;
    let mut told = |result: &dyn Debug| show(format_args!("{name} -> {result:?}"));
    match name {
        "open" => told(&connection.open()),
        "close" => told(&connection.close(words.maybe()?)),
        "begin" => told(&connection.begin(words.session_config()?)),
        "accept" => told(&session(connection, words)?.accept(words.session_config()?)),
        "end" => told(&session(connection, words)?.end(words.maybe()?)),
        "attach_sender" => told(&session(connection, words)?.attach_sender(words.link_config()?)),
        "attach_receiver" => told(&session(connection, words)?.attach_receiver(words.link_config()?)),
        "attach" | "refuse" | "detach" | "close_link" | "send_flow_properties" => {
            on_link(connection, name, words, &mut told)?
        }
        "blocked" => told(&sender(connection, words)?.blocked()),
        "send" | "start" => {
            let mut sender = sender(connection, words)?;
            let (tag, settled, format, payload) =
                (words.tag()?, words.flag()?, words.number()?, words.bytes()?);
            match name {
                "send" => told(&sender.send_format(tag, settled, format, payload)),
                _ => told(&sender.start(tag, settled, format, payload)),
            }
        }
        "send_message" => {
            let mut sender = sender(connection, words)?;
            told(&sender.send_message(words.tag()?, words.flag()?, &words.message()?))
        }
        "post" => {
            let mut sender = sender(connection, words)?;
            let (txn_id, tag, settled, format) =
                (words.txn_id()?, words.tag()?, words.flag()?, words.number()?);
            told(&sender.post(txn_id, tag, settled, format, words.bytes()?))
        }
        "presume" => {
            let id = words.delivery()?;
            let (txn_id, outcome) = (words.txn_id()?, words.value()?);
            told(&there(connection.delivery_mut(id))?.presume(txn_id, outcome))
        }
        "write_dispositions" => told(&session(connection, words)?.write_dispositions()),
        "resume" => {
            let mut sender = sender(connection, words)?;
            let (tag, format, payload) = (words.tag()?, words.number()?, words.bytes()?);
            told(&sender.resume_format(tag, format, payload))
        }
        "resolve" => {
            let mut sender = sender(connection, words)?;
            told(&sender.resolve(words.tag()?))
        }
        "write" => told(&sender(connection, words)?.write(words.bytes()?)),
        "finish" => told(&sender(connection, words)?.finish()),
        "abort" => told(&sender(connection, words)?.abort()),
        "settle_sent" => {
            let id = words.delivery()?;
            told(&there(connection.sender(id.link()))?.settle(id, words.maybe()?))
        }
        "offered" => told(&sender(connection, words)?.offered(words.number()?)),
        "drained" => told(&sender(connection, words)?.drained()),
        "set_credit" => told(&receiver(connection, words)?.set_credit(words.number()?)),
        "drain" => told(&receiver(connection, words)?.drain()),
        "take" | "update" | "settle" => {
            let id = words.delivery()?;
            let mut receiver = there(connection.receiver(id.link()))?;
            match name {
                "take" => told(&receiver.take(id).map(|payload| payload.len())),
                "update" => told(&receiver.update(id, words.value()?)),
                _ => told(&receiver.settle(id)),
            }
        }
        _ => return Err(unexpected("the name of a call", name)),
    }
    words.end()
}

/// Calls what senders and receivers have in common.
fn on_link(
    connection: &mut Connection,
    name: &str,
    words: &mut Words<'_>,
    told: &mut dyn FnMut(&dyn Debug),
) -> Result<(), String> {
    let id = words.link()?;
    macro_rules! on {
        ($link:ident => $call:expr) => {
            match there(connection.role(id))? {
                Role::Sender => {
                    let mut $link = there(connection.sender(id))?;
                    told(&$call)
                }
                Role::Receiver => {
                    let mut $link = there(connection.receiver(id))?;
                    told(&$call)
                }
            }
        };
    }
    match name {
        "attach" => on!(link => link.attach(words.link_config()?)),
        "refuse" => on!(link => link.refuse(words.value()?)),
        "detach" => on!(link => link.detach()),
        "close_link" => on!(link => link.close(words.maybe()?)),
        _ => on!(link => link.send_flow_properties(words.value()?)),
    }
    Ok(())
}

fn session<'c>(connection: &'c mut Connection, words: &mut Words<'_>) -> Result<Session<'c>, String> {
    there(connection.session(words.session()?))
}

fn sender<'c>(connection: &'c mut Connection, words: &mut Words<'_>) -> Result<Sender<'c>, String> {
    there(connection.sender(words.link()?))
}

fn receiver<'c>(connection: &'c mut Connection, words: &mut Words<'_>) -> Result<Receiver<'c>, String> {
    there(connection.receiver(words.link()?))
}

/// What is not there cannot have been called.
fn there<T>(result: Result<T, Misuse>) -> Result<T, String> {
    result.map_err(|misuse| format!("{misuse}"))
}
