//! The TC entry point: the complete path.

use core::mem::offset_of;

use aya_ebpf::bindings::{
    __sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_OK, TC_ACT_SHOT,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1,
};
use aya_ebpf::helpers::{
    bpf_get_smp_processor_id, bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh,
    bpf_skb_adjust_room, bpf_skb_change_tail, bpf_skb_pull_data, bpf_skb_vlan_pop,
    bpf_skb_vlan_push,
};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use forward::{Action, Host};
use wire::{Delta, ethernet};

use crate::clock;
use crate::frame;
use crate::maps::Maps;

/// Headers reach at most this far: Ethernet with a tag, IP with options, ICMP, again IP with
/// options, ports.
const HEADERS: u32 = 192;
/// `__sk_buff.pkt_type` of a frame to this machine.
const PACKET_HOST: u32 = 0;
const AF_INET: u32 = 2;

/// Forwards, answers, or leaves to the stack.
#[classifier]
pub fn xvs_ingress(context: TcContext) -> i32 {
    let mut packet = Packet {
        context,
        exit: 0,
        neighbour: 0,
    };
    packet.pull(HEADERS);
    match forward::process(&mut packet).action() {
        Action::Pass => TC_ACT_OK,
        Action::Drop => TC_ACT_SHOT,
        Action::Send if packet.neighbour != 0 => {
            redirect_to_neighbour(packet.exit, packet.neighbour)
        }
        // SAFETY: the helper only notes the interface for the return code that it gives.
        Action::Send => unsafe { bpf_redirect(packet.exit, 0) as i32 },
    }
}

/// Lets the kernel find the neighbour's MAC, and wait for it.
#[inline(always)]
fn redirect_to_neighbour(ifindex: u32, neighbour: u32) -> i32 {
    let mut params = bpf_redir_neigh {
        nh_family: AF_INET,
        // An IPv4 address is the first word of the union.
        __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 {
            ipv6_nh: [neighbour, 0, 0, 0],
        },
    };
    let size = size_of::<bpf_redir_neigh>() as i32;
    // SAFETY: the helper reads `size` bytes of `params`.
    unsafe { bpf_redirect_neigh(ifindex, &raw mut params, size, 0) as i32 }
}

struct Packet {
    context: TcContext,
    /// Interface to leave by.
    exit: u32,
    /// Address of the neighbour to leave to, 0 where the MACs are in place.
    neighbour: u32,
}

impl Packet {
    /// Makes the first bytes, as many as there are, readable in one piece.
    #[inline(always)]
    fn pull(&mut self, wanted: u32) {
        let wanted = wanted.min(self.context.len());
        if self.linear_length() < wanted {
            // SAFETY: the context is the one that the kernel gave; every pointer into the frame
            // is made anew after this. A failure leaves less to read, which every access checks.
            unsafe { bpf_skb_pull_data(self.context.skb.skb, wanted) };
        }
    }
}

impl Packet {
    /// Where the frame's first piece begins and ends.
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        frame::bounds::<{ offset_of!(__sk_buff, data) }, { offset_of!(__sk_buff, data_end) }, _>(
            self.context.skb.skb,
        )
    }

    #[inline(always)]
    fn linear_length(&self) -> u32 {
        let (start, end) = self.bounds();
        frame::length(start, end)
    }
}

impl Host<'static> for Packet {
    const COMPLETE: bool = true;
    type Tables = Maps<false>;

    #[inline(always)]
    fn tables(&self) -> Maps<false> {
        Maps
    }
    #[inline(always)]
    fn tick(&self) -> u32 {
        clock::tick()
    }
    #[inline(always)]
    fn processor(&self) -> u32 {
        // SAFETY: the helper takes nothing and cannot fail.
        unsafe { bpf_get_smp_processor_id() }
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).ifindex }
    }
    #[inline(always)]
    fn is_own_mac(&self, _mac: [u8; 6]) -> bool {
        // The kernel has compared the MAC already.
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).pkt_type == PACKET_HOST }
    }
    #[inline(always)]
    fn own_address(&self) -> u32 {
        Maps::<false>
            .interface(self.ifindex())
            .map_or(0, |interface| interface.address.load())
    }
    #[inline(always)]
    fn vlan_beside(&self) -> u16 {
        // SAFETY: reads of the context, which the verifier checks.
        unsafe {
            if (*self.context.skb.skb).vlan_present == 0 {
                return 0;
            }
            (*self.context.skb.skb).vlan_tci as u16 & ethernet::VLAN_ID
        }
    }
    #[inline(always)]
    fn frame_length(&self) -> u32 {
        self.context.len()
    }
    #[inline(always)]
    fn segment_size(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).gso_size }
    }
    #[inline(always)]
    fn segments(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).gso_segs }.max(1)
    }
    #[inline(always)]
    fn bytes<const N: usize>(&mut self, offset: u32) -> Option<[u8; N]> {
        let (start, end) = self.bounds();
        // SAFETY: the bounds are the context's, read here.
        unsafe { frame::read(start, end, offset) }
    }
    #[inline(always)]
    fn set_bytes<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let (start, end) = self.bounds();
        // SAFETY: the bounds are the context's, read here.
        unsafe { frame::write(start, end, offset, bytes) }
    }
    #[inline(always)]
    fn change_checksum(
        &mut self,
        offset: u32,
        pseudo_header: Delta,
        payload: Delta,
        optional: bool,
    ) -> Option<()> {
        let mangled = if optional {
            BPF_F_MARK_MANGLED_0 as u64
        } else {
            0
        };
        let skb = self.context.skb.skb;
        for (delta, flags) in [(pseudo_header, BPF_F_PSEUDO_HDR as u64), (payload, 0)] {
            if delta.is_zero() {
                continue;
            }
            // A size of 0 in the flags makes `to` a difference of sums.
            // SAFETY: the context is the one that the kernel gave; the helper checks the offset.
            let refused = unsafe {
                bpf_l4_csum_replace(skb, offset, 0, delta.to_wsum() as u64, flags | mangled)
            };
            if refused != 0 {
                return None;
            }
        }
        Some(())
    }
    #[inline(always)]
    fn set_vlan(&mut self, in_frame: bool, vlan: u16) -> Option<()> {
        let skb = self.context.skb.skb;
        if in_frame || self.vlan_beside() != 0 {
            // SAFETY: the context is the one that the kernel gave.
            if unsafe { bpf_skb_vlan_pop(skb) } != 0 {
                return None;
            }
        }
        if vlan != 0 {
            // SAFETY: as above.
            if unsafe { bpf_skb_vlan_push(skb, ethernet::VLAN.to_be(), vlan) } != 0 {
                return None;
            }
        }
        Some(())
    }
    #[inline(always)]
    fn leave_by(&mut self, ifindex: u32, neighbour: u32) {
        self.exit = ifindex;
        self.neighbour = neighbour;
    }
    #[inline(always)]
    fn embed(&mut self, offset: u32, room: u32, keep: u32) -> Option<()> {
        let skb = self.context.skb.skb;
        // SAFETY: the context is the one that the kernel gave; lengths are checked by the helpers.
        unsafe {
            if bpf_skb_change_tail(skb, offset + keep, 0) != 0
                || bpf_skb_adjust_room(skb, room as i32, BPF_ADJ_ROOM_MAC, 0) != 0
            {
                return None;
            }
        }
        self.pull(offset + room + keep);
        Some(())
    }
}
