//! The same messages over whatever can lie below AMQP.
#![cfg(feature = "tls")]
#![allow(missing_docs)]

use amqp1_mio as driver;

#[path = "../../core/tests/common/schemes.rs"]
mod schemes;
