//! The BPF object: XDP and TC entry points around the one forwarding function, and the maps.
//!
//! Nothing is decided here. A program makes a host of its context, calls
//! [`forward::process`], and turns the verdict into the hook's return code.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod clock;
mod connect;
mod direct;
mod frame;
mod maps;
mod stages;
mod tc;
mod trace;
mod xdp;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing in here panics: had the compiler kept a path to this loop, the kernel's verifier
    // would refuse the program.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
