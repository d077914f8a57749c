//! Frames that real peers sent, recorded by `record.py`: what pins the codec and the engine to others than themselves.

mod frames;
mod replay;
#[path = "../interop/samples.rs"]
mod samples;
