//! The TC entry point: the complete path.

use core::mem::offset_of;

use abi::{Address, Reason, Stage, TraceHook, tunnel};
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
    BPF_F_ADJ_ROOM_ENCAP_L4_GRE, BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO,
    BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, TC_ACT_OK, TC_ACT_SHOT, TC_ACT_STOLEN,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1,
};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh, bpf_skb_adjust_room,
    bpf_skb_change_proto, bpf_skb_change_tail, bpf_skb_pull_data, bpf_skb_vlan_pop,
    bpf_skb_vlan_push,
};
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::ProgramArray;
use aya_ebpf::programs::TcContext;
use cell::Cell32;
use forward::{Action, Host, Outer, Verdict};
use wire::{Delta, ethernet};

use crate::clock;
use crate::frame;
use crate::maps::Maps;
use crate::stages;
use crate::trace;

/// Headers reach at most this far: Ethernet with a tag, IP with options, ICMP, again IP with
/// options, ports.
const HEADERS: u32 = 192;
/// `__sk_buff.pkt_type` of a frame to this machine.
const PACKET_HOST: u32 = 0;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// The stages behind the entry points, by [`Stage`]'s number.
#[map]
static TC_STAGES: ProgramArray = ProgramArray::with_max_entries(Stage::ALL.len() as u32, 0);
/// What reports a packet whose way has ended.
#[map]
static TC_REPORT: ProgramArray = ProgramArray::with_max_entries(1, 0);

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident: $stage:ident;)*) => {
        $($(#[$doc])*
        #[classifier]
        pub fn $name(context: TcContext) -> i32 {
            run(context, Stage::$stage)
        })*
    };
}

stages! {
    /// Ingress: forwards, answers, or leaves to the stack.
    xvs_ingress: Enter;
    /// A stage of `xvs_ingress`.
    xvs_tc_enter_v6: EnterV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_fragment: Fragment;
    /// A stage of `xvs_ingress`.
    xvs_tc_fragment_v6: FragmentV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_relay: Relay;
    /// A stage of `xvs_ingress`.
    xvs_tc_relay_v6: RelayV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_open: Open;
    /// A stage of `xvs_ingress`.
    xvs_tc_open_v6: OpenV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_persist: Persist;
    /// A stage of `xvs_ingress`.
    xvs_tc_persist_v6: PersistV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_schedule: Schedule;
    /// A stage of `xvs_ingress`.
    xvs_tc_make: Make;
    /// A stage of `xvs_ingress`.
    xvs_tc_make_v6: MakeV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_onward: Onward;
    /// A stage of `xvs_ingress`.
    xvs_tc_onward_v6: OnwardV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_translate: Translate;
    /// A stage of `xvs_ingress`.
    xvs_tc_translate_v6: TranslateV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_tunnel: Tunnel;
    /// A stage of `xvs_ingress`.
    xvs_tc_tunnel_v6: TunnelV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_lend: Lend;
    /// A stage of `xvs_ingress`.
    xvs_tc_lend_v6: LendV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_fullnat: Fullnat;
    /// A stage of `xvs_ingress`.
    xvs_tc_fullnat_v6: FullnatV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_return: Return;
    /// A stage of `xvs_ingress`.
    xvs_tc_return_v6: ReturnV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_fullnat_error: FullnatError;
    /// A stage of `xvs_ingress`.
    xvs_tc_fullnat_error_v6: FullnatErrorV6;
    /// A stage of `xvs_ingress`, and of `xvs_egress` for copies.
    xvs_tc_tell: Tell;
    /// A stage of `xvs_ingress`, and of `xvs_egress` for copies.
    xvs_tc_tell_v6: TellV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_lend_other: LendOther;
    /// A stage of `xvs_ingress`.
    xvs_tc_lend_other_v6: LendOtherV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross: Cross;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross_v6: CrossV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross_back: CrossBack;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross_back_v6: CrossBackV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross_error: CrossError;
    /// A stage of `xvs_ingress`.
    xvs_tc_cross_error_v6: CrossErrorV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_sacks: Sacks;
    /// A stage of `xvs_ingress`.
    xvs_tc_sacks_v6: SacksV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_answer: Answer;
    /// A stage of `xvs_ingress`.
    xvs_tc_answer_v6: AnswerV6;
    /// A stage of `xvs_ingress`.
    xvs_tc_cut: Cut;
    /// A stage of `xvs_egress`.
    xvs_tc_depart_v6: DepartV6;
}

/// Egress: what this machine itself sends. What came in by an interface was looked at there, and is
/// at most to be made a fragment.
#[classifier]
pub fn xvs_egress(context: TcContext) -> i32 {
    if goes_through(&context) {
        return pass_through(context);
    }
    run(context, Stage::Depart)
}

/// Ingress while somebody traces.
#[classifier]
pub fn xvs_trace_ingress(context: TcContext) -> i32 {
    traced(context, TraceHook::Ingress, Stage::Enter)
}

/// Egress while somebody traces.
#[classifier]
pub fn xvs_trace_egress(context: TcContext) -> i32 {
    if goes_through(&context) {
        return pass_through(context);
    }
    traced(context, TraceHook::Egress, Stage::Depart)
}

/// Reports a packet whose way has ended.
#[classifier]
pub fn xvs_trace_tc_report(context: TcContext) -> i32 {
    let mut packet = Packet { context, exit: 0 };
    packet.pull(HEADERS);
    trace::report(&mut packet).map_or(TC_ACT_SHOT, |code| code as i32)
}

/// Takes a packet down and goes on with the usual entry point.
#[inline(always)]
fn traced(context: TcContext, hook: TraceHook, first: Stage) -> i32 {
    let mut packet = Packet { context, exit: 0 };
    packet.pull(HEADERS);
    trace::begin(&mut packet, hook);
    // SAFETY: the array holds programs of this kind only, as the kernel sees to.
    unsafe { TC_STAGES.tail_call(&packet.context, first as u32) };
    TC_ACT_OK
}

/// Whether a packet that leaves came in by an interface.
#[inline(always)]
fn goes_through(context: &TcContext) -> bool {
    // SAFETY: a read of the context, which the verifier checks.
    unsafe { (*context.skb.skb).ingress_ifindex != 0 }
}

/// Lets a packet leave that came in by an interface.
#[inline(always)]
fn pass_through(context: TcContext) -> i32 {
    let mut packet = Packet { context, exit: 0 };
    if let Some(stage) = forward::copy_tells(&mut packet) {
        // SAFETY: the array holds programs of this kind only, as the kernel sees to.
        unsafe { TC_STAGES.tail_call(&packet.context, stage as u32) };
        return TC_ACT_SHOT;
    }
    match forward::piece(&mut packet) {
        Some(()) => TC_ACT_OK,
        None => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn run(context: TcContext, stage: Stage) -> i32 {
    let mut packet = Packet { context, exit: 0 };
    packet.pull(HEADERS);
    if trace::is_on() {
        trace::pass(stage);
    }
    let verdict = forward::run(&mut packet, stage);
    let code = packet.carry_out(stage, verdict);
    if trace::is_on() {
        trace::leave(verdict, packet.way_out(), code as u32);
        // SAFETY: as above.
        unsafe { TC_REPORT.tail_call(&packet.context, trace::REPORT) };
    }
    code
}

struct Packet {
    context: TcContext,
    /// Interface to leave by, 0 where the kernel is to find the neighbour's MAC.
    exit: u32,
}

impl Packet {
    /// Does with the packet what the verdict says. The hook's return code.
    #[inline(always)]
    fn carry_out(&self, stage: Stage, verdict: Verdict) -> i32 {
        match verdict.action() {
            Action::Pass => TC_ACT_OK,
            Action::Drop => TC_ACT_SHOT,
            Action::Consume => TC_ACT_STOLEN,
            Action::Send if self.exit == 0 => self.redirect_to_neighbour(),
            // SAFETY: the helper only notes the interface for the return code that it gives.
            Action::Send => unsafe { bpf_redirect(self.exit, 0) as i32 },
            Action::GoOn => {
                // SAFETY: the array holds programs of this kind only, as the kernel sees to.
                unsafe { stages::go_on(&TC_STAGES, &self.context, stage, verdict.next()) };
                let reason = verdict.unmet();
                self.count(reason);
                match reason {
                    Reason::NotOurs => TC_ACT_OK,
                    _ => TC_ACT_SHOT,
                }
            }
        }
    }

    /// The interface that it leaves by, if it does.
    #[inline(always)]
    fn way_out(&self) -> u32 {
        match self.exit {
            0 => self.carry().map_or(0, |carry| carry.ifindex.load()),
            exit => exit,
        }
    }

    /// Lets the kernel find the neighbour's MAC, and wait for it.
    #[inline(always)]
    fn redirect_to_neighbour(&self) -> i32 {
        let Some(carry) = self.carry() else {
            return TC_ACT_SHOT;
        };
        let is_v6 = carry.neighbour_family.load() == 6;
        let mut params = bpf_redir_neigh {
            nh_family: if is_v6 { AF_INET6 } else { AF_INET },
            // An IPv4 address is the first word of the union.
            __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 {
                ipv6_nh: words(&carry.neighbour),
            },
        };
        let size = size_of::<bpf_redir_neigh>() as i32;
        // SAFETY: the helper reads `size` bytes of `params`.
        unsafe { bpf_redirect_neigh(carry.ifindex.load(), &raw mut params, size, 0) as i32 }
    }

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

    /// Whether there is a VLAN tag beside the frame, which may be of identifier and priority 0.
    #[inline(always)]
    fn is_tagged_beside(&self) -> bool {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).vlan_present != 0 }
    }

    #[inline(always)]
    fn linear_length(&self) -> u32 {
        let (start, end) = self.bounds();
        frame::length(start, end)
    }
}

impl Host<'static> for Packet {
    const COMPLETE: bool = true;
    type Tables = Maps;

    #[inline(always)]
    fn tables(&self) -> Maps {
        Maps
    }
    #[inline(always)]
    fn tick(&self) -> u32 {
        clock::tick()
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).ifindex }
    }
    #[inline(always)]
    fn mark(&self) -> u32 {
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).mark }
    }
    #[inline(always)]
    fn is_own_mac(&self, _mac: [u8; 6]) -> bool {
        // The kernel has compared the MAC already.
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).pkt_type == PACKET_HOST }
    }
    #[inline(always)]
    fn own_address(&self) -> u32 {
        Maps.interface(self.ifindex())
            .map_or(0, |interface| interface.address.load())
    }
    #[inline(always)]
    fn own_address_v6(&self) -> Address {
        Maps.interface(self.ifindex())
            .map_or([0; 4], |interface| words(&interface.address_v6))
    }
    #[inline(always)]
    fn tag_beside(&self) -> u16 {
        if !self.is_tagged_beside() {
            return 0;
        }
        // SAFETY: a read of the context, which the verifier checks.
        unsafe { (*self.context.skb.skb).vlan_tci as u16 }
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
    fn words<const N: usize>(&mut self, offset: u32) -> Option<[u32; N]> {
        let (start, end) = self.bounds();
        // SAFETY: the bounds are the context's, read here.
        unsafe { frame::read_words(start, end, offset) }
    }
    #[inline(always)]
    fn set_words<const N: usize>(&mut self, offset: u32, words: &[u32; N]) -> Option<()> {
        let (start, end) = self.bounds();
        // SAFETY: the bounds are the context's, read here.
        unsafe { frame::write_words(start, end, offset, words) }
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
    fn set_tag(&mut self, in_frame: bool, tag: u16) -> Option<()> {
        let skb = self.context.skb.skb;
        if in_frame || self.is_tagged_beside() {
            // SAFETY: the context is the one that the kernel gave.
            if unsafe { bpf_skb_vlan_pop(skb) } != 0 {
                return None;
            }
        }
        if tag != 0 {
            // SAFETY: as above.
            if unsafe { bpf_skb_vlan_push(skb, ethernet::VLAN.to_be(), tag) } != 0 {
                return None;
            }
        }
        Some(())
    }
    #[inline(always)]
    fn leave_by(&mut self, ifindex: u32) {
        self.exit = ifindex;
    }
    #[inline(always)]
    fn leave_by_neighbour(&mut self) {
        self.exit = 0;
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
    #[inline(always)]
    fn resize(&mut self, length: u32) -> Option<()> {
        let skb = self.context.skb.skb;
        // SAFETY: the context is the one that the kernel gave; the length is checked by the helper.
        let refused = unsafe { bpf_skb_change_tail(skb, length, 0) };
        (refused == 0).then_some(())
    }
    #[inline(always)]
    fn send_copy(&mut self) -> Option<()> {
        // SAFETY: the context is the one that the kernel gave.
        let refused = unsafe { bpf_clone_redirect(self.context.skb.skb, self.exit, 0) };
        (refused == 0).then_some(())
    }
    #[inline(always)]
    fn strip(&mut self, _offset: u32, length: u32) -> Option<()> {
        let skb = self.context.skb.skb;
        // SAFETY: the context is the one that the kernel gave; lengths are checked by the helper.
        if unsafe { bpf_skb_adjust_room(skb, -(length as i32), BPF_ADJ_ROOM_MAC, 0) } != 0 {
            return None;
        }
        // What stood behind the bytes that are gone need not be in the first piece.
        self.pull(HEADERS);
        Some(())
    }
    #[inline(always)]
    fn change_family(&mut self, offset: u32, to_v6: bool) -> Option<()> {
        let kind = if to_v6 {
            ethernet::IPV6
        } else {
            ethernet::IPV4
        };
        // SAFETY: the context is the one that the kernel gave; the kernel checks the rest.
        if unsafe { bpf_skb_change_proto(self.context.skb.skb, kind.to_be(), 0) } != 0 {
            return None;
        }
        self.pull(HEADERS);
        self.set_bytes(offset - 2, &kind.to_be_bytes())
    }
    #[inline(always)]
    fn encapsulate(&mut self, offset: u32, outer: Outer) -> Option<()> {
        let family = if outer.is_v6 {
            BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
        } else {
            BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
        };
        let transport = match outer.kind {
            tunnel::GUE => BPF_F_ADJ_ROOM_ENCAP_L4_UDP,
            tunnel::GRE => BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
            _ => 0,
        };
        // Pieces keep their size: they fit with their outer headers, else the sender would have been
        // told.
        let flags = (family | transport | BPF_F_ADJ_ROOM_FIXED_GSO) as u64;
        let room = outer.room as i32;
        let skb = self.context.skb.skb;
        // SAFETY: the context is the one that the kernel gave; lengths are checked by the helper.
        if unsafe { bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, flags) } != 0 {
            return None;
        }
        self.pull(offset + outer.room);
        Some(())
    }
}

#[inline(always)]
fn words(cells: &[Cell32; 4]) -> Address {
    [
        cells[0].load(),
        cells[1].load(),
        cells[2].load(),
        cells[3].load(),
    ]
}
