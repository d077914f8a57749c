//! Time to encode and decode each of the codec cases.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use amqp1_benches::codec::Case;
use criterion::{Criterion, criterion_group, criterion_main};

fn codec(criterion: &mut Criterion) {
    for case in Case::ALL {
        let mut codec = case.prepare();
        let mut encoded = Vec::new();
        codec.encode(1, &mut encoded);
        let mut group = criterion.benchmark_group(case.name());
        let mut out = Vec::with_capacity(encoded.len());
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                out.clear();
                codec.encode(black_box(1), &mut out);
                out.len()
            });
        });
        group.bench_function("decode", |bencher| bencher.iter(|| codec.decode(black_box(&encoded))));
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
