#![no_main]
#![allow(missing_docs, reason = "the function says it")]

libfuzzer_sys::fuzz_target!(|plan: amqp1_fuzz::Plan| amqp1_fuzz::ops(&plan));
