#![no_main]
#![allow(missing_docs, reason = "the function says it")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| amqp1_fuzz::hot(input));
