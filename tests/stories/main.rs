//! Two engines, or an engine and a scripted peer, in the course of a connection.

mod lifecycle;
mod transfer;
