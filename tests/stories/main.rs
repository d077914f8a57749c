//! Two engines, or an engine and a scripted peer, in the course of a connection.

mod flow;
mod lifecycle;
mod settle;
mod transfer;
