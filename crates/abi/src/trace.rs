//! What a trace says of a packet, and which packets it is asked for.
//!
//! The programs that packets meet exist in two variants. In one the code below is absent; the other
//! takes its place while somebody traces.

use core::mem::size_of;

use cell::{Cell32, Cell64};

/// Eight bytes of a packet each: as many as are kept of it, before and after.
pub const TRACE_WORDS: usize = 24;
/// How many may trace at once, each with a filter of its own.
pub const TRACERS: u32 = 4;

/// Where a packet was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TraceHook {
    /// XDP.
    Xdp = 0,
    /// TC, ingress.
    Ingress = 1,
    /// TC, egress: what the director itself sends.
    Egress = 2,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TraceVerdict {
    /// Left to the director's own network stack.
    Pass = 0,
    /// Discarded.
    Drop = 1,
    /// Sent, or an answer in its place.
    Send = 2,
    /// Discarded, as fragments of it were sent in its place.
    Consume = 3,
}

impl TraceHook {
    /// By number.
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Xdp),
            1 => Some(Self::Ingress),
            2 => Some(Self::Egress),
            _ => None,
        }
    }
}

impl TraceVerdict {
    /// By number.
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Pass),
            1 => Some(Self::Drop),
            2 => Some(Self::Send),
            3 => Some(Self::Consume),
            _ => None,
        }
    }
}

/// A frame as it was at a moment.
#[repr(C)]
#[derive(Debug, Default)]
pub struct TraceFrame {
    /// Bytes of the frame.
    pub length: Cell32,
    /// How many of them are kept.
    pub kept: Cell32,
    /// A VLAN tag's priority and identifier beside it, 0 for none.
    pub tag: Cell32,
    /// Bytes of payload in each of its segments, where the device will cut it, else 0.
    pub segment_size: Cell32,
    /// Its first bytes, as they stand in the packet.
    pub bytes: [Cell64; TRACE_WORDS],
}

/// Set in a record's handle of a connection that is in the table of the address family that the
/// packet is not of.
pub const OTHER_FAMILY: u64 = 1 << 63;

/// A packet's way through the director.
#[repr(C)]
#[derive(Debug, Default)]
pub struct TraceRecord {
    /// When it came: CLOCK_MONOTONIC, in nanoseconds.
    pub at: Cell64,
    /// Handle of its connection, 0 for none: see the connection table. With [`OTHER_FAMILY`] where
    /// that is in the other family's.
    pub connection: Cell64,
    /// The connection's word before the packet, 0 where there was no connection.
    pub word_before: Cell64,
    /// The connection's word after the packet, 0 where there is no connection.
    pub word_after: Cell64,
    /// The stages on its way: bit n is set for [`crate::Stage`] n.
    pub stages: Cell64,
    /// Whom the record is for: bit n is set for tracer n.
    pub tracers: Cell32,
    /// A [`TraceHook`]'s number.
    pub hook: Cell32,
    /// Interface that it came in by; 0 for what the director itself sends.
    pub entered_by: Cell32,
    /// Interface that it left by, 0 where it did not.
    pub left_by: Cell32,
    /// A [`TraceVerdict`]'s number.
    pub verdict: Cell32,
    /// A [`crate::Reason`]'s number.
    pub reason: Cell32,
    /// Index of the cell of the service that it was scheduled for, else [`crate::NONE`].
    pub service: Cell32,
    /// The connection's destination's number, else [`crate::NONE`].
    pub destination: Cell32,
    /// The connection's forwarding method's number.
    pub method: Cell32,
    /// The connection's client's [`crate::Address`].
    pub client: [Cell32; 4],
    /// The connection's virtual [`crate::Address`].
    pub virtual_address: [Cell32; 4],
    /// The connection's real server's [`crate::Address`].
    pub server: [Cell32; 4],
    /// The connection's client's port, network order.
    pub client_port: Cell32,
    /// The connection's virtual port, network order.
    pub virtual_port: Cell32,
    /// The connection's real server's port, network order.
    pub server_port: Cell32,
    /// Which way the packet goes in its connection: 1 towards the real server, 2 towards the client;
    /// 0 where it is known of none.
    pub direction: Cell32,
    /// The packet's family: 4, 6, or 0 where it is neither.
    pub family: Cell32,
    /// The packet's IP protocol number.
    pub protocol: Cell32,
    /// The firewall mark that it came with.
    pub mark: Cell32,
    /// The processor.
    pub processor: Cell32,
    /// The connection's IP protocol number: an ICMP error is about one of another protocol.
    pub connection_protocol: Cell32,
    /// As it came.
    pub before: TraceFrame,
    /// As it left.
    pub after: TraceFrame,
}

/// What one processor knows of the packet that it is busy with, and what it has told of others.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct TraceProcessor {
    /// The packet.
    pub record: TraceRecord,
    /// Its source [`crate::Address`].
    pub source: [Cell32; 4],
    /// Its destination [`crate::Address`].
    pub destination: [Cell32; 4],
    /// Its source port, network order; 0 where it has none.
    pub source_port: Cell32,
    /// Its destination port, network order; 0 where it has none.
    pub destination_port: Cell32,
    /// The hook's return code for it.
    pub code: Cell32,
    /// The address families of the packet and of its connection's ends: bits 4 and 6.
    pub families: Cell32,
    /// By tracer.
    pub tallies: [TraceTally; TRACERS as usize],
}

/// What a processor has told one tracer.
#[repr(C)]
#[derive(Debug, Default)]
pub struct TraceTally {
    /// Packets that passed the filter.
    pub matched: Cell64,
    /// Those of them that were reported.
    pub reported: Cell64,
    /// Those that were not, as the sample does not take them.
    pub sampled_out: Cell64,
    /// Those that were not, as there were too many at once.
    pub withheld: Cell64,
    /// Those that were not, as nobody had read what was reported before.
    pub lost: Cell64,
    /// Tick at which the present window began.
    pub window: Cell32,
    /// Reports in the present window.
    pub spent: Cell32,
}

/// The packets that a tracer asks for. Every condition must hold.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct TraceFilter {
    /// 1 while somebody traces by it.
    pub active: Cell32,
    /// Family of the addresses below: 4, 6, or 0 for no condition.
    pub family: Cell32,
    /// Port of either end, network order; 0 for no condition.
    pub port: Cell32,
    /// One of so many packets; never 0.
    pub sample: Cell32,
    /// Reports that one processor may make in a window.
    pub budget: Cell32,
    /// A window's length in ticks.
    pub window: Cell32,
    /// The reasons: bit n is set for [`crate::Reason`] n.
    pub reasons: Cell64,
    /// The client.
    pub client: TraceAddresses,
    /// The virtual service.
    pub virtual_address: TraceAddresses,
    /// The real server.
    pub server: TraceAddresses,
}

/// Addresses that begin alike.
#[repr(C)]
#[derive(Debug, Default)]
pub struct TraceAddresses {
    /// The [`crate::Address`].
    pub address: [Cell32; 4],
    /// Its bits that count; none for no condition.
    pub mask: [Cell32; 4],
}

impl TraceRecord {
    /// Bytes of a record.
    pub const SIZE: usize = size_of::<Self>();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both compilers must agree.
    #[test]
    fn layouts() {
        assert_eq!(size_of::<TraceFrame>(), 208);
        assert_eq!(TraceRecord::SIZE, 576);
        assert_eq!(size_of::<TraceProcessor>(), 832);
        assert_eq!(size_of::<TraceFilter>(), 128);
    }
}
