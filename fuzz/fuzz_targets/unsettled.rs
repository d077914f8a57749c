#![no_main]
#![allow(missing_docs, reason = "the function says it")]

libfuzzer_sys::fuzz_target!(|course: amqp1_fuzz::Course| amqp1_fuzz::unsettled(&course));
