//! The XDP entry point: the common packet, at the driver.

use aya_ebpf::EbpfContext as _;
use core::mem::offset_of;

use abi::{Address, Reason, Stage, TraceHook};
use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::{bpf_redirect, bpf_xdp_adjust_head};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::ProgramArray;
use aya_ebpf::programs::XdpContext;
use forward::{Action, Host, Outer, Verdict};
use wire::{Delta, ethernet};

use crate::clock;
use crate::frame;
use crate::maps::Maps;
use crate::stages;
use crate::trace;

/// The stages behind the entry point, by [`Stage`]'s number.
#[map]
static XDP_STAGES: ProgramArray = ProgramArray::with_max_entries(Stage::ALL.len() as u32, 0);
/// What reports a packet whose way has ended.
#[map]
static XDP_REPORT: ProgramArray = ProgramArray::with_max_entries(1, 0);

macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident: $stage:ident;)*) => {
        $($(#[$doc])*
        #[xdp]
        // Else the compiler makes a call of a long one, which costs time and stack.
        #[inline(always)]
        pub fn $name(context: XdpContext) -> u32 {
            run(context, Stage::$stage)
        })*
    };
}

stages! {
    /// Forwards what it can; everything else goes to the TC program behind it.
    xvs_xdp: Enter;
    /// A stage of `xvs_xdp`.
    xvs_xdp_enter_v6: EnterV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_open: Open;
    /// A stage of `xvs_xdp`.
    xvs_xdp_open_v6: OpenV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_persist: Persist;
    /// A stage of `xvs_xdp`.
    xvs_xdp_persist_v6: PersistV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_schedule: Schedule;
    /// A stage of `xvs_xdp`.
    xvs_xdp_make: Make;
    /// A stage of `xvs_xdp`.
    xvs_xdp_make_v6: MakeV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_onward: Onward;
    /// A stage of `xvs_xdp`.
    xvs_xdp_onward_v6: OnwardV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_tunnel: Tunnel;
    /// A stage of `xvs_xdp`.
    xvs_xdp_tunnel_v6: TunnelV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_lend: Lend;
    /// A stage of `xvs_xdp`.
    xvs_xdp_lend_v6: LendV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_fullnat: Fullnat;
    /// A stage of `xvs_xdp`.
    xvs_xdp_fullnat_v6: FullnatV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_return: Return;
    /// A stage of `xvs_xdp`.
    xvs_xdp_return_v6: ReturnV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_lend_other: LendOther;
    /// A stage of `xvs_xdp`.
    xvs_xdp_lend_other_v6: LendOtherV6;
    /// A stage of `xvs_xdp`.
    xvs_xdp_sacks: Sacks;
    /// A stage of `xvs_xdp`.
    xvs_xdp_sacks_v6: SacksV6;
}

/// The entry point while somebody traces.
#[xdp]
pub fn xvs_trace_xdp(context: XdpContext) -> u32 {
    let mut frame = Frame { context, exit: 0 };
    trace::begin(&mut frame, TraceHook::Xdp);
    // SAFETY: the array holds programs of this kind only, as the kernel sees to.
    unsafe { XDP_STAGES.tail_call(&frame.context, Stage::Enter as u32) };
    xdp_action::XDP_PASS
}

/// Reports a packet whose way has ended.
#[xdp]
pub fn xvs_trace_xdp_report(context: XdpContext) -> u32 {
    let mut frame = Frame { context, exit: 0 };
    trace::report(&mut frame).unwrap_or(xdp_action::XDP_DROP)
}

#[inline(always)]
fn run(context: XdpContext, stage: Stage) -> u32 {
    let mut frame = Frame { context, exit: 0 };
    if trace::is_on() {
        trace::pass(stage);
    }
    let verdict = forward::run(&mut frame, stage);
    let code = frame.carry_out(stage, verdict);
    if trace::is_on() {
        trace::leave(verdict, frame.exit, code);
        // SAFETY: as above.
        unsafe { XDP_REPORT.tail_call(&frame.context, trace::REPORT) };
    }
    code
}

struct Frame {
    context: XdpContext,
    /// Interface to leave by.
    exit: u32,
}

impl Frame {
    /// Does with the frame what the verdict says. The hook's return code.
    #[inline(always)]
    fn carry_out(&self, stage: Stage, verdict: Verdict) -> u32 {
        match verdict.action() {
            Action::Pass => xdp_action::XDP_PASS,
            // Only the complete path sends copies.
            Action::Drop | Action::Consume => xdp_action::XDP_DROP,
            // SAFETY: the helper only notes the interface for the return code that it gives.
            Action::Send => unsafe { bpf_redirect(self.exit, 0) as u32 },
            Action::GoOn => {
                // SAFETY: the array holds programs of this kind only, as the kernel sees to.
                unsafe { stages::go_on(&XDP_STAGES, &self.context, stage, verdict.next()) };
                match verdict.unmet() {
                    // The complete path, which sees it next, counts it.
                    Reason::NotOurs => xdp_action::XDP_PASS,
                    reason => {
                        self.count(reason);
                        xdp_action::XDP_DROP
                    }
                }
            }
        }
    }

    /// Where the frame begins and ends.
    #[inline(always)]
    fn bounds(&self) -> (usize, usize) {
        frame::bounds::<{ offset_of!(xdp_md, data) }, { offset_of!(xdp_md, data_end) }, _>(
            self.context.ctx,
        )
    }

    #[inline(always)]
    fn linear_length(&self) -> u32 {
        let (start, end) = self.bounds();
        frame::length(start, end)
    }
}

impl Host<'static> for Frame {
    const COMPLETE: bool = false;
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
        self.context.ingress_ifindex() as u32
    }
    #[inline(always)]
    fn mark(&self) -> u32 {
        // Nobody has seen the packet before.
        0
    }
    #[inline(always)]
    fn is_own_mac(&self, mac: [u8; 6]) -> bool {
        let Some(interface) = Maps.interface(self.ifindex()) else {
            return false;
        };
        let first = u32::from_ne_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let last = u32::from_ne_bytes([mac[4], mac[5], 0, 0]);
        interface.mac[0].load() == first && interface.mac[1].load() == last
    }
    #[inline(always)]
    fn own_address(&self) -> u32 {
        Maps.interface(self.ifindex())
            .map_or(0, |interface| interface.address.load())
    }
    #[inline(always)]
    fn own_address_v6(&self) -> Address {
        // It answers nobody.
        [0; 4]
    }
    #[inline(always)]
    fn tag_beside(&self) -> u16 {
        0
    }
    #[inline(always)]
    fn frame_length(&self) -> u32 {
        self.linear_length()
    }
    #[inline(always)]
    fn segment_size(&self) -> u32 {
        0
    }
    #[inline(always)]
    fn segments(&self) -> u32 {
        1
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
        let (start, end) = self.bounds();
        let changed = |old: u16| {
            let new = pseudo_header.and(payload).apply(old);
            match (optional, old, new) {
                (true, 0, _) => 0,
                (true, _, 0) => 0xffff,
                _ => new,
            }
        };
        // SAFETY: the bounds are the context's, read here.
        unsafe { frame::change(start, end, offset, changed) }
    }
    #[inline(always)]
    fn set_tag(&mut self, in_frame: bool, tag: u16) -> Option<()> {
        let macs: [u8; 12] = self.bytes(0)?;
        let room = ethernet::TAG as i32;
        let change = match (in_frame, tag) {
            (true, 0) => room,
            (false, 1..) => -room,
            _ => 0,
        };
        if change != 0 {
            // SAFETY: the context is the one that the kernel gave; every pointer into the frame
            // is made anew after this.
            if unsafe { bpf_xdp_adjust_head(self.context.as_ptr().cast(), change) } != 0 {
                return None;
            }
            self.set_bytes(0, &macs)?;
        }
        if tag != 0 {
            let kind = ethernet::VLAN.to_be_bytes();
            let tag = tag.to_be_bytes();
            self.set_bytes(ethernet::TYPE_OFFSET, &[kind[0], kind[1], tag[0], tag[1]])?;
        }
        Some(())
    }
    #[inline(always)]
    fn leave_by(&mut self, ifindex: u32) {
        self.exit = ifindex;
    }
    #[inline(always)]
    fn leave_by_neighbour(&mut self) {
        // Such packets went up the stack.
    }
    #[inline(always)]
    fn embed(&mut self, _offset: u32, _room: u32, _keep: u32) -> Option<()> {
        None
    }
    #[inline(always)]
    fn resize(&mut self, _length: u32) -> Option<()> {
        None
    }
    #[inline(always)]
    fn send_copy(&mut self) -> Option<()> {
        None
    }
    #[inline(always)]
    fn strip(&mut self, _offset: u32, _length: u32) -> Option<()> {
        None
    }
    #[inline(always)]
    fn change_family(&mut self, _offset: u32, _to_v6: bool) -> Option<()> {
        None
    }
    #[inline(always)]
    fn encapsulate(&mut self, offset: u32, outer: Outer) -> Option<()> {
        let is_tagged = offset > ethernet::HEADER;
        let tag: [u8; 4] = if is_tagged {
            self.bytes(ethernet::TYPE_OFFSET)?
        } else {
            [0; 4]
        };
        let room = outer.room as i32;
        // SAFETY: the context is the one that the kernel gave; every pointer into the frame is made
        // anew after this.
        if unsafe { bpf_xdp_adjust_head(self.context.as_ptr().cast(), -room) } != 0 {
            return None;
        }
        if is_tagged {
            self.set_bytes(ethernet::TYPE_OFFSET, &tag)?;
        }
        Some(())
    }
}
