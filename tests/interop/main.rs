//! Tests with real peers: Qpid Proton for Python, RabbitMQ 4, ActiveMQ 5.17 and rhea, all from `scripts/peers`.
//!
//! A test whose peer is not there returns at once, after one line that says so; under `CI=true` it fails.

mod activemq;
mod brokers;
#[path = "../../drivers/core/tests/common/certificates.rs"]
mod certificates;
mod cluster;
mod coming_from_proton;
mod engine;
mod examples;
mod nodes;
mod process;
mod programs;
mod proton;
mod proton_broker;
mod proton_client;
mod proton_listener;
mod rabbitmq;
mod rhea;
mod samples;
mod sasl;
mod tls;
mod transactions;
