//! The real server's BPF program: takes packets out of their tunnels, on TC's ingress.
//!
//! TC, because it sees packets as the host does: joined ones as one, checksums that are still open as
//! such. What is decided is decided in [`decap::decapsulate`].
#![no_std]
#![no_main]

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_RECOMPUTE_CSUM, TC_ACT_SHOT, TC_ACT_UNSPEC,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
};
use aya_ebpf::helpers::{
    bpf_csum_diff, bpf_skb_adjust_room, bpf_skb_change_proto, bpf_skb_load_bytes,
    bpf_skb_store_bytes,
};
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use aya_ebpf::programs::TcContext;
use cell::masked;
use decap::{Address, Family, Fate, Host, OUTCOMES, Settings, layout};
use wire::checksum::fold;
use wire::{ethernet, ipv4, ipv6};

/// Bytes summed up at a time.
const PIECE: u32 = 512;
/// Pieces that are summed up at most: 16 KiB, above what the largest frames carry.
const MOST_PIECES: u32 = 32;

#[map]
static SETTINGS: Array<[u32; 2]> = Array::with_max_entries(1, 0);
#[map]
static ADDRESSES: HashMap<Address, u32> = HashMap::with_max_entries(4096, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(OUTCOMES, 0);
#[map]
static SCRATCH: PerCpuArray<[u64; PIECE as usize / 8]> = PerCpuArray::with_max_entries(1, 0);

/// Takes a packet out of its tunnel, or leaves it as it is.
#[classifier]
pub fn xvs_decap(context: TcContext) -> i32 {
    let skb = context.skb.skb;
    // SAFETY: a read of the context, which the verifier checks.
    let is_tagged = unsafe { (*skb).vlan_present } != 0;
    // A tagged packet is for the VLAN's interface, where it comes by again.
    if is_tagged {
        return TC_ACT_UNSPEC;
    }
    let outcome = decap::decapsulate(&mut Packet { skb });
    if let Some(counter) = COUNTERS.get_ptr_mut(outcome as u32) {
        // SAFETY: each processor has its own element, and its programs do not interrupt each other.
        unsafe { *counter += 1 };
    }
    match outcome.fate() {
        Fate::Dropped => TC_ACT_SHOT,
        // Whoever comes after us on this hook shall see the packet, too.
        Fate::Decapsulated | Fate::Left => TC_ACT_UNSPEC,
    }
}

struct Packet {
    skb: *mut __sk_buff,
}

impl Host for Packet {
    #[inline(always)]
    fn settings(&self) -> Settings {
        let [tunnels, port] = SETTINGS.get(0).copied().unwrap_or_default();
        Settings {
            ipip: tunnels & layout::IPIP != 0,
            gre: tunnels & layout::GRE != 0,
            gue_port: port as u16,
        }
    }
    #[inline(always)]
    fn family(&self) -> Option<Family> {
        // SAFETY: a read of the context, which the verifier checks.
        match u16::from_be(unsafe { (*self.skb).protocol } as u16) {
            ethernet::IPV4 => Some(Family::Ipv4),
            ethernet::IPV6 => Some(Family::Ipv6),
            _ => None,
        }
    }
    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.skb).len }.saturating_sub(ethernet::HEADER)
    }
    #[inline(always)]
    fn is_joined(&self) -> bool {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.skb).gso_size != 0 }
    }
    #[inline(always)]
    fn bytes<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        let offset = ethernet::HEADER + offset;
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: the helper writes N bytes, all that there are, or says that it has not.
        unsafe {
            (bpf_skb_load_bytes(self.skb.cast(), offset, to, N as u32) == 0)
                .then(|| bytes.assume_init())
        }
    }
    #[inline(always)]
    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let offset = ethernet::HEADER + offset;
        let from = bytes.as_ptr().cast();
        let flags = BPF_F_RECOMPUTE_CSUM as u64;
        // SAFETY: the helper reads N bytes, all that there are.
        let failed = unsafe { bpf_skb_store_bytes(self.skb, offset, from, N as u32, flags) };
        (failed == 0).then_some(())
    }
    #[inline(always)]
    fn sum(&self, offset: u32, length: u32) -> Option<u16> {
        let sum = xvs_sum(self.skb, ethernet::HEADER + offset, length);
        (sum != NO_SUM).then_some(sum as u16)
    }
    #[inline(always)]
    fn is_own(&self, address: Address) -> bool {
        role(&address) & layout::OWN != 0
    }
    #[inline(always)]
    fn is_virtual(&self, address: Address) -> bool {
        role(&address) & layout::VIRTUAL != 0
    }
    #[inline(always)]
    fn remove(&mut self, length: u32, outer: Family, inner: Family) -> Option<()> {
        let length = match (outer, inner) {
            (Family::Ipv4, Family::Ipv6) => {
                self.become_family(ethernet::IPV6)?;
                length + (ipv6::HEADER - ipv4::HEADER)
            }
            (Family::Ipv6, Family::Ipv4) => {
                self.become_family(ethernet::IPV4)?;
                length - (ipv6::HEADER - ipv4::HEADER)
            }
            _ => length,
        };
        let flags = BPF_F_ADJ_ROOM_FIXED_GSO as u64;
        // SAFETY: the context is the one that the kernel gave; the helper checks the length.
        let failed =
            unsafe { bpf_skb_adjust_room(self.skb, -(length as i32), BPF_ADJ_ROOM_MAC, flags) };
        (failed == 0).then_some(())
    }
}

impl Packet {
    /// Tells the kernel that the packet is of the other family, which it takes for a translation: the
    /// outer header is made longer or shorter by the difference of the families' headers.
    #[inline(always)]
    fn become_family(&mut self, kind: u16) -> Option<()> {
        let kind = kind.to_be();
        // SAFETY: the context is the one that the kernel gave; the second helper reads two bytes.
        let failed = unsafe {
            bpf_skb_change_proto(self.skb, kind, 0) != 0
                || bpf_skb_store_bytes(
                    self.skb,
                    ethernet::TYPE_OFFSET,
                    (&raw const kind).cast(),
                    2,
                    0,
                ) != 0
        };
        (!failed).then_some(())
    }
}

/// What an address is here.
#[inline(always)]
fn role(address: &Address) -> u32 {
    // SAFETY: the value is one aligned word, which is replaced as a whole.
    unsafe { ADDRESSES.get(address) }.copied().unwrap_or(0)
}

/// What [`xvs_sum`] gives where it cannot sum up.
const NO_SUM: u64 = u64::MAX;

/// The folded sum of the frame's 16-bit words in a range. A global function: the verifier looks at it
/// once, not once for every way to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn xvs_sum(skb: *mut __sk_buff, mut offset: u32, length: u32) -> u64 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return NO_SUM;
    };
    let mut left = length;
    let mut sum = 0;
    for _ in 0..MOST_PIECES {
        if left == 0 {
            return fold(sum) as u64;
        }
        let piece = left.min(PIECE);
        if piece < PIECE {
            // SAFETY: each processor has its own element, and its programs do not interrupt each other.
            unsafe { *scratch = [0; PIECE as usize / 8] };
        }
        // The mask tells the verifier that it is between 1 and the size of the scratch space.
        let bytes = masked::<{ PIECE as usize }>(piece - 1) as u32 + 1;
        // SAFETY: the helpers write and read as many bytes as the scratch space has at most.
        unsafe {
            if bpf_skb_load_bytes(skb.cast(), offset, scratch.cast(), bytes) != 0 {
                return NO_SUM;
            }
            let none = core::ptr::null_mut();
            sum = bpf_csum_diff(none, 0, scratch.cast(), PIECE, sum) as u32;
        }
        offset += piece;
        left -= piece;
    }
    if left == 0 { fold(sum) as u64 } else { NO_SUM }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing in here panics; the kernel's verifier would refuse this loop.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
