#![no_main]
#![allow(missing_docs, reason = "the function says it")]

libfuzzer_sys::fuzz_target!(|input: (amqp1_engine::Serial, u32)| amqp1_fuzz::serial(input.0, input.1));
