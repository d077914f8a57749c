//! Two engines, or an engine and a scripted peer, in the course of a connection.

mod cut;
mod flow;
mod lifecycle;
mod links;
mod pressure;
mod record;
mod resume;
mod runs;
mod sasl;
mod settle;
mod socket;
mod transfer;
