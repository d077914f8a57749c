//! A freestanding program for the host: it links the engine with libc and no `std`.
//!
//! A dependency that pulls in `std` fails the build with a second definition of the panic handler. The exit
//! code says whether what ran gave the right answers.
#![no_std]
#![no_main]

mod rt;
mod story;

/// What libc's start code calls.
#[unsafe(no_mangle)]
extern "C" fn main() -> libc::c_int {
    match story::run() {
        Ok(()) => {
            rt::print("no_std: ok\n");
            0
        }
        Err(step) => {
            rt::print("no_std: failed at: ");
            rt::print(step);
            rt::print("\n");
            1
        }
    }
}
