//! A freestanding program for the host: it links the engine with libc and no `std`.
//!
//! A dependency that pulls in `std` fails the build with a second panic handler. The exit code says whether what ran
//! went as it should.
#![no_std]
#![no_main]

mod rt;
mod story;

use story::Failure;

/// What libc's start code calls.
#[unsafe(no_mangle)]
extern "C" fn main() -> libc::c_int {
    match story::run() {
        Ok(()) => {
            rt::print("no_std: ok\n");
            0
        }
        Err(failure) => {
            rt::print("no_std: failed: ");
            rt::print(match failure {
                Failure::Refused => "a call was refused",
                Failure::Missing(what) => what,
            });
            rt::print("\n");
            1
        }
    }
}
