//! The benchmark's own BPF programs: they make packets, and count those that arrive.
//!
//! BPF_PROG_TEST_RUN does not restore the packet between two runs. So a front program writes the
//! next flow's packet before every run and tail-calls the program under test; its own price is
//! measured with an empty program in that place.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use core::mem::{offset_of, size_of_val};

use aya_ebpf::bindings::{__sk_buff, BPF_F_PSEUDO_HDR, TC_ACT_OK, TC_ACT_SHOT, xdp_action, xdp_md};
use aya_ebpf::helpers::{bpf_redirect, bpf_xdp_adjust_head};
use aya_ebpf::macros::{classifier, map, xdp};
use aya_ebpf::maps::{Array, PerCpuArray, ProgramArray};
use aya_ebpf::programs::{TcContext, XdpContext};
use cell::Cell64;

#[expect(dead_code, reason = "these programs only need a frame's bounds")]
mod frame;

/// Words of an IPv4 frame: 64 bytes.
const WORDS: usize = 8;
/// Words of an IPv6 frame: 80 bytes.
const WORDS_V6: usize = 10;
/// The first port of a client address.
const FIRST_PORT: u32 = 1024;
/// Offsets of the last two bytes of an address and of the port, of the source and of the
/// destination, in a frame without a tag and an IP header without options or extensions.
const SOURCE: (usize, usize) = (28, 34);
const DESTINATION: (usize, usize) = (32, 36);
/// The same for IPv6.
const SOURCE_V6: (usize, usize) = (36, 54);
const DESTINATION_V6: (usize, usize) = (52, 56);

/// Cache lines of the table of which one is read, as many as 2^21 connections over IPv4 take: 2 to this
/// power.
const TOUCHED_BITS: u32 = 20;

/// What the front programs write.
#[repr(C)]
pub struct Pattern {
    /// The frame; an IPv4 one is shorter.
    frame: [u64; WORDS_V6],
    /// Number of flows, a power of two, less one.
    flow_mask: u32,
    /// The next flow.
    next: u32,
    /// 0 where the client is the source, else it is the destination.
    reply: u32,
    /// Return code where there is no program under test.
    code: u32,
    /// 0 where the frame is an IPv4 one.
    is_v6: u32,
    /// Bytes of the frame.
    length: u32,
    /// Ports that one client address uses: 2 to this power.
    port_bits: u32,
    /// Virtual services that flows take turns at; 1 where the frame names the only one. Their
    /// addresses follow one another.
    services: u32,
    /// Real servers that a service's flows take turns at, where the other end is the real server; 0
    /// where it is the service.
    servers: u32,
    /// 0 where flows come in their order; else half of the bits of their numbers, and they come in an
    /// order that no cache can foresee.
    scatter_bits: u32,
}

#[map]
static PATTERN: Array<Pattern> = Array::with_max_entries(1, 0);
#[map]
static SEEN: PerCpuArray<Cell64> = PerCpuArray::with_max_entries(1, 0);
#[map]
static WAYS: Array<Way> = Array::with_max_entries(2, 0);
#[map]
static TOUCHED: Array<[Cell64; 8]> = Array::with_max_entries(1, 0);
#[map]
static XDP_UNDER_TEST: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static TC_UNDER_TEST: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// What the simplest director does with packets in one direction: no table, no choice.
#[repr(C)]
pub struct Way {
    /// Interface to leave by.
    ifindex: u32,
    /// The address that is rewritten, in network order, and the one that takes its place.
    address: [u32; 2],
    /// The same of the port, in the low half.
    port: [u32; 2],
    /// The MAC addresses of what leaves: destination, source.
    macs: [[u8; 6]; 2],
}

/// Numbers of the ways: towards the real server, towards the client.
const TO_SERVER: u32 = 0;
const TO_CLIENT: u32 = 1;
/// Offsets of the checksums of an IPv4 header without options and of the TCP header behind it.
const IP_CHECKSUM: usize = 24;
const TCP_CHECKSUM: usize = 50;

/// Writes the next packet; the return code, should there be nothing to test.
#[inline(always)]
fn write_next(start: usize, end: usize) -> Option<u32> {
    let pattern = PATTERN.get_ptr_mut(0)?;
    // SAFETY: the map's only element outlives every program, which alone changes it.
    let pattern = unsafe { &mut *pattern };
    let flow = pattern.next & pattern.flow_mask;
    pattern.next = flow + 1;
    let flow = scattered(pattern, flow);
    if pattern.is_v6 == 0 {
        write::<WORDS>(pattern, flow, (start, end), SOURCE, DESTINATION)?;
    } else {
        write::<WORDS_V6>(pattern, flow, (start, end), SOURCE_V6, DESTINATION_V6)?;
    }
    Some(pattern.code)
}

/// The flow whose turn it is instead of another one's: a bijection.
#[inline(always)]
fn scattered(pattern: &Pattern, flow: u32) -> u32 {
    if pattern.scatter_bits == 0 {
        return flow;
    }
    let folded = |number: u32| number ^ number.wrapping_shr(pattern.scatter_bits);
    // 2^32 over the golden ratio, which is odd.
    folded(folded(flow).wrapping_mul(0x9e37_79b1) & pattern.flow_mask)
}

/// Writes a frame of so many words, with the client of a flow.
#[inline(always)]
fn write<const LENGTH: usize>(
    pattern: &Pattern,
    flow: u32,
    (start, end): (usize, usize),
    source: (usize, usize),
    destination: (usize, usize),
) -> Option<()> {
    if start + LENGTH * 8 > end {
        return None;
    }
    let client = flow.wrapping_shr(pattern.port_bits);
    let port = FIRST_PORT + flow - client.wrapping_shl(pattern.port_bits);
    // SAFETY: these bytes of the frame were checked to be there; test frames begin at multiples of
    // eight bytes.
    unsafe {
        let frame = start as *mut u64;
        for word in 0..LENGTH {
            frame.add(word).write(pattern.frame[word]);
        }
    }
    let (near, far) = if pattern.reply == 0 {
        (source, destination)
    } else {
        (destination, source)
    };
    // SAFETY: as above; ports lie at even offsets.
    unsafe { ((start + near.1) as *mut u16).write((port as u16).to_be()) };
    // SAFETY: as above; addresses too.
    unsafe { number(pattern, start, near.0, client) };
    if pattern.services > 1 {
        // SAFETY: as above.
        unsafe { number(pattern, start, far.0, other_end(pattern, flow)?) };
    }
    Some(())
}

/// The number of a flow's service, or of its real server among those of all services.
#[inline(always)]
fn other_end(pattern: &Pattern, flow: u32) -> Option<u32> {
    let service = flow.checked_rem(pattern.services)?;
    if pattern.servers == 0 {
        return Some(service);
    }
    let turn = flow.checked_div(pattern.services)?;
    Some(service * pattern.servers + turn.checked_rem(pattern.servers)?)
}

/// Adds a number to an address, whose last two bytes are at an offset of the frame, and 0.
///
/// # Safety
/// The address is in the frame, at an even offset.
#[inline(always)]
unsafe fn number(pattern: &Pattern, start: usize, offset: usize, number: u32) {
    let low = (number as u16).to_be();
    let mut change = low as u32;
    // SAFETY: the caller answers for it.
    unsafe { ((start + offset) as *mut u16).write(low) };
    let more = (number >> 16) as u16;
    if more != 0 {
        let high = (start + offset - 2) as *mut u16;
        // SAFETY: as above.
        unsafe { high.write((u16::from_be(high.read()) + more).to_be()) };
        change = folded(change + more.to_be() as u32);
    }
    if pattern.is_v6 == 0 {
        // RFC 1624, equation 3, of what was added. Routers check it.
        let checksum = (start + IP_CHECKSUM) as *mut u16;
        // SAFETY: an IPv4 frame was checked to hold a whole header.
        unsafe { checksum.write(!folded(!checksum.read() as u32 + change) as u16) };
    }
}

/// The ones' complement sum of two 16-bit numbers, from their sum.
#[inline(always)]
const fn folded(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

/// Takes off what the program under test put in front of the frame, in the run before.
#[inline(always)]
fn restore(context: &XdpContext) -> Option<(usize, usize)> {
    let (start, end) = xdp_bounds(context);
    let extra = frame::length(start, end).wrapping_sub(PATTERN.get(0)?.length);
    if extra == 0 {
        return Some((start, end));
    }
    // SAFETY: the context is this program's; pointers from before are not used again.
    if unsafe { bpf_xdp_adjust_head(context.ctx, extra as i32) } != 0 {
        return None;
    }
    Some(xdp_bounds(context))
}

#[inline(always)]
fn xdp_bounds(context: &XdpContext) -> (usize, usize) {
    frame::bounds::<{ offset_of!(xdp_md, data) }, { offset_of!(xdp_md, data_end) }, _>(context.ctx)
}

/// Writes the next packet and hands it to the XDP program under test.
#[xdp]
pub fn xvs_bench_xdp(context: XdpContext) -> u32 {
    let code = restore(&context).and_then(|(start, end)| write_next(start, end));
    // SAFETY: the array holds programs of this kind only, as the kernel sees to.
    unsafe { XDP_UNDER_TEST.tail_call(&context, 0) };
    code.unwrap_or(xdp_action::XDP_ABORTED)
}

/// Writes the next packet and hands it to the TC program under test.
#[classifier]
pub fn xvs_bench_tc(context: TcContext) -> i32 {
    let (start, end) =
        frame::bounds::<{ offset_of!(__sk_buff, data) }, { offset_of!(__sk_buff, data_end) }, _>(
            context.skb.skb,
        );
    let code = write_next(start, end);
    // SAFETY: as above.
    unsafe { TC_UNDER_TEST.tail_call(&context, 0) };
    code.map_or(TC_ACT_SHOT, |code| code as i32)
}

/// Does nothing: what a run costs in itself.
#[xdp]
pub fn xvs_empty_xdp(_context: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Puts 20 bytes in front: what a tunnel costs before anything is written.
#[xdp]
pub fn xvs_grow_xdp(context: XdpContext) -> u32 {
    // SAFETY: the context is this program's, which has no pointers into the frame.
    match unsafe { bpf_xdp_adjust_head(context.ctx, -20) } {
        0 => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_ABORTED,
    }
}

/// Reads one place of a table, by the client's address and port: the least that a director does whose
/// table is as large.
#[xdp]
pub fn xvs_touch_xdp(context: XdpContext) -> u32 {
    with_line(&context, |line| line[0].load() == 0)
}

/// As [`xvs_touch_xdp`], and then as many instructions as the director has for a packet of a known
/// connection, about. A processor does not look far enough ahead to begin the next packet's read
/// before they are done.
#[xdp]
pub fn xvs_touch_and_work_xdp(context: XdpContext) -> u32 {
    with_line(&context, |line| {
        let read = line[0].load();
        work::<120>();
        read == 0
    })
}

/// Takes one place of a table, likewise: the least that a director does which makes a connection.
#[xdp]
pub fn xvs_claim_xdp(context: XdpContext) -> u32 {
    with_line(&context, is_taken)
}

/// As [`xvs_claim_xdp`], among as many instructions as the director has for a new connection's packet.
#[xdp]
pub fn xvs_claim_and_work_xdp(context: XdpContext) -> u32 {
    with_line(&context, |line| {
        let read = line[0].load();
        work::<140>();
        let is_taken = is_taken(line);
        work::<140>();
        read == 0 && is_taken
    })
}

#[inline(always)]
fn is_taken(line: &[Cell64; 8]) -> bool {
    let before = line[1].load();
    line[1].compare_and_swap(before, before + 1)
}

/// Five times as many instructions, which wait neither for memory nor, but for every fifth, for one
/// another.
#[inline(always)]
fn work<const FIFTHS: usize>() {
    // SAFETY: instructions that change registers only, whose contents are given up.
    unsafe {
        core::arch::asm!(
            ".rept {times}",
            "{0} += 1",
            "{1} += 1",
            "{2} += 1",
            "{3} += 1",
            "{4} += 1",
            ".endr",
            inout(reg) 0u64 => _,
            inout(reg) 0u64 => _,
            inout(reg) 0u64 => _,
            inout(reg) 0u64 => _,
            inout(reg) 0u64 => _,
            times = const FIFTHS,
            options(nomem, nostack)
        );
    }
}

/// Does something to the line of the table that the client's address and port say; aborts where that
/// does not come off.
#[inline(always)]
fn with_line(context: &XdpContext, act: impl Fn(&[Cell64; 8]) -> bool) -> u32 {
    let (start, end) = xdp_bounds(context);
    if start + DESTINATION.1 > end {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the frame was checked to hold these bytes.
    let client = unsafe { ((start + SOURCE.0) as *const u16).read() };
    // SAFETY: as above.
    let port = unsafe { ((start + SOURCE.1) as *const u16).read() };
    let index = (client as u32 | (port as u32) << 16).wrapping_mul(0x9e37_79b1);
    match TOUCHED.get(index >> (32 - TOUCHED_BITS)) {
        Some(line) if act(line) => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_ABORTED,
    }
}

/// As [`xvs_empty_xdp`].
#[classifier]
pub fn xvs_empty_tc(_context: TcContext) -> i32 {
    TC_ACT_SHOT
}

/// Sends every packet on, with other MAC addresses.
#[xdp]
pub fn xvs_redirect_xdp(context: XdpContext) -> u32 {
    let (start, end) = xdp_bounds(&context);
    let Some(way) = WAYS.get(TO_SERVER) else {
        return xdp_action::XDP_ABORTED;
    };
    if start + size_of_val(&way.macs) > end {
        return xdp_action::XDP_PASS;
    }
    // SAFETY: the frame's first bytes were checked to be there.
    unsafe { (start as *mut [[u8; 6]; 2]).write_unaligned(way.macs) };
    // SAFETY: the helper only notes the interface for the return code that it gives.
    unsafe { bpf_redirect(way.ifindex, 0) as u32 }
}

/// DNAT by constants: rewrites what goes to one address and port, and the answers.
#[classifier]
pub fn xvs_static_tc(context: TcContext) -> i32 {
    translate(&context, TO_SERVER, 30, 36)
        .or_else(|| translate(&context, TO_CLIENT, 26, 34))
        .unwrap_or(TC_ACT_OK)
}

/// Rewrites address and port at two offsets of the frame if they are those of the way.
#[inline(always)]
fn translate(context: &TcContext, way: u32, address: usize, port: usize) -> Option<i32> {
    let way = WAYS.get(way)?;
    let [old, new] = way.address;
    let [old_port, new_port] = way.port.map(|port| port as u16);
    if context.load::<u32>(address).ok()? != old || context.load::<u16>(port).ok()? != old_port {
        return None;
    }
    let pseudo = u64::from(BPF_F_PSEUDO_HDR);
    let (from, to) = (u64::from(old), u64::from(new));
    context
        .l4_csum_replace(TCP_CHECKSUM, from, to, pseudo | 4)
        .ok()?;
    context.l3_csum_replace(IP_CHECKSUM, from, to, 4).ok()?;
    let (from, to) = (u64::from(old_port), u64::from(new_port));
    context.l4_csum_replace(TCP_CHECKSUM, from, to, 2).ok()?;
    context.store(address, &new, 0).ok()?;
    context.store(port, &new_port, 0).ok()?;
    context.store(0, &way.macs, 0).ok()?;
    // SAFETY: the helper only notes the interface for the return code that it gives.
    Some(unsafe { bpf_redirect(way.ifindex, 0) as i32 })
}

/// Counts what arrives, and drops it.
#[xdp]
pub fn xvs_sink_xdp(_context: XdpContext) -> u32 {
    count();
    xdp_action::XDP_DROP
}

/// As [`xvs_sink_xdp`].
#[classifier]
pub fn xvs_sink_tc(_context: TcContext) -> i32 {
    count();
    TC_ACT_SHOT
}

#[inline(always)]
fn count() {
    if let Some(seen) = SEEN.get(0) {
        // Nobody else writes there.
        seen.store(seen.load() + 1);
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing in here panics; the kernel's verifier would refuse this loop.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
