//! What `std` would bring: an allocator, a panic handler and a way to print.

use core::{
    alloc::{GlobalAlloc, Layout},
    panic::PanicInfo,
};

struct Libc;

// SAFETY: `aligned_alloc` and `free` are a matching pair, and a size that is a multiple of the alignment is
// all that C asks of `aligned_alloc`.
unsafe impl GlobalAlloc for Libc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let align = layout.align().max(size_of::<usize>());
        // SAFETY: `align` is a power of two, and the size, at most `isize::MAX`, cannot wrap when rounded up to it.
        unsafe { libc::aligned_alloc(align, layout.size().next_multiple_of(align)).cast() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        // SAFETY: the caller got `pointer` from `alloc` above.
        unsafe { libc::free(pointer.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: Libc = Libc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    print("no_std: panicked\n");
    abort()
}

fn abort() -> ! {
    // SAFETY: it takes nothing and does not return.
    unsafe { libc::abort() }
}

// Nothing unwinds under `panic = "abort"`, but the precompiled `core` and `alloc` name what unwinding needs.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    abort()
}

/// Writes to standard output.
pub fn print(text: &str) {
    // SAFETY: pointer and length are those of a live string.
    unsafe { libc::write(libc::STDOUT_FILENO, text.as_ptr().cast(), text.len()) };
}
