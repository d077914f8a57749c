#![no_main]
#![allow(missing_docs, reason = "the function says it")]

libfuzzer_sys::fuzz_target!(|input: &[u8]| amqp1_fuzz::client(input));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    amqp1_fuzz::mutate(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
