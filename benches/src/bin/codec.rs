//! Encodes or decodes one thing many times: `--case transfer|flow|disposition|message|map --op enc|dec --iters N`.

use std::{hint::black_box, process::ExitCode, time::Instant};

use amqp1_benches::{Args, Report, codec::Case};

fn main() -> ExitCode {
    match run(&Args::from_env()) {
        Ok(report) => {
            report.print();
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("codec: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Report, String> {
    let case = args.parse("--case", Case::Transfer)?;
    let iters: u32 = args.parse("--iters", 100_000)?;
    let op = args.get("--op").unwrap_or("enc");

    let mut codec = case.prepare();
    let mut encoded = Vec::new();
    codec.encode(1, &mut encoded);
    let size = encoded.len();
    let mut sum = 0_u64;
    let start = Instant::now();
    match op {
        "enc" => {
            for n in 0..iters {
                encoded.clear();
                codec.encode(black_box(n), &mut encoded);
                sum = sum.wrapping_add(black_box(&encoded).len() as u64);
            }
        }
        "dec" => {
            for _ in 0..iters {
                let read = codec.decode(black_box(&encoded)).map_err(|error| error.to_string())?;
                sum = sum.wrapping_add(read);
            }
        }
        other => return Err(format!("--op: cannot use {other:?}, only enc and dec")),
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9 / f64::from(iters.max(1));
    Ok(Report::new()
        .text("case", case.name())
        .text("op", op)
        .number("iters", iters)
        .number("encoded_bytes", size as u64)
        .number("sum", sum)
        .fraction("ns_per_op", nanos, 1))
}
