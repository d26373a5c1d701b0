//! The entry points for clients on the director itself: sockets that are about to connect.

use abi::Address;
use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::{bpf_get_netns_cookie, bpf_get_smp_processor_id};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use forward::Tables as _;
use forward::connect::{Asked, service_v4, service_v6, target};

use crate::clock;
use crate::maps::Maps;

/// How an IPv4 address begins that an IPv6 socket connects to (RFC 4291, section 2.5.5.2).
const IPV4_MAPPED: [u32; 3] = [0, 0, 0xffff_u32.to_be()];
/// Lets the socket connect.
const ALLOW: i32 = 1;

/// IPv4 sockets.
#[cgroup_sock_addr(connect4)]
pub fn xvs_connect4(context: SockAddrContext) -> i32 {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { connect4(&context) };
    ALLOW
}

/// IPv6 sockets, which connect to IPv4 addresses, too.
#[cgroup_sock_addr(connect6)]
pub fn xvs_connect6(context: SockAddrContext) -> i32 {
    // SAFETY: the context is the one that the kernel gave.
    unsafe { connect6(&context) };
    ALLOW
}

/// # Safety
/// The context is the kernel's: the verifier checks what is read of it and written.
#[inline(always)]
unsafe fn connect4(context: &SockAddrContext) -> Option<()> {
    let (processor, tick) = here(context)?;
    let socket = context.sock_addr;
    // SAFETY: the caller answers for it.
    unsafe {
        let service = service_v4(Maps, asked(socket, (*socket).user_ip4), (processor, tick))?;
        let target = target(Maps, service, false, processor)?;
        (*socket).user_ip4 = target.address[0];
        set_port(socket, target.port);
    }
    Some(())
}

/// # Safety
/// As for [`connect4`].
#[inline(always)]
unsafe fn connect6(context: &SockAddrContext) -> Option<()> {
    let (processor, tick) = here(context)?;
    let socket = context.sock_addr;
    // SAFETY: the caller answers for it.
    unsafe {
        let address: Address = [
            (*socket).user_ip6[0],
            (*socket).user_ip6[1],
            (*socket).user_ip6[2],
            (*socket).user_ip6[3],
        ];
        let is_v6 = address[..3] != IPV4_MAPPED;
        let service = if is_v6 {
            service_v6(Maps, asked(socket, address), (processor, tick))
        } else {
            service_v4(Maps, asked(socket, address[3]), (processor, tick))
        };
        let target = target(Maps, service?, is_v6, processor)?;
        if is_v6 {
            (*socket).user_ip6[0] = target.address[0];
            (*socket).user_ip6[1] = target.address[1];
            (*socket).user_ip6[2] = target.address[2];
            (*socket).user_ip6[3] = target.address[3];
        } else {
            (*socket).user_ip6[3] = target.address[0];
        }
        set_port(socket, target.port);
    }
    Some(())
}

/// # Safety
/// As for [`connect4`].
#[inline(always)]
unsafe fn asked<A>(socket: *mut bpf_sock_addr, address: A) -> Asked<A> {
    // SAFETY: the caller answers for it.
    unsafe {
        Asked {
            protocol: (*socket).protocol as u8,
            address,
            port: (*socket).user_port as u16,
        }
    }
}

/// # Safety
/// As for [`connect4`].
#[inline(always)]
unsafe fn set_port(socket: *mut bpf_sock_addr, port: u16) {
    if port != 0 {
        // SAFETY: the caller answers for it.
        unsafe { (*socket).user_port = port as u32 };
    }
}

/// This processor and the kernel's tick, if the socket is in this director's network namespace: the
/// programs see those of all.
#[inline(always)]
fn here(context: &SockAddrContext) -> Option<(u32, u32)> {
    let namespace = &Maps.globals()?.namespace;
    // SAFETY: the context is the one that the kernel gave; the other helper takes nothing.
    let (cookie, processor) = unsafe {
        let cookie = bpf_get_netns_cookie(context.as_ptr());
        (cookie, bpf_get_smp_processor_id())
    };
    let is_here =
        namespace[0].load() == cookie as u32 && namespace[1].load() == (cookie >> 32) as u32;
    is_here.then(|| (processor, clock::tick()))
}
