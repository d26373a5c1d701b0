//! Why a packet was forwarded, passed up the stack, or dropped.

/// What a [`Reason`] means for the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent on by the data plane.
    Forward,
    /// Left to the director's own network stack.
    Pass,
    /// Discarded; for some reasons an ICMP error was sent in its place.
    Drop,
    /// Counted beside the verdict: something noteworthy, not the packet's fate.
    Note,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $outcome:ident, $sentence:literal;)*) => {
        /// Why a packet met its verdict. Each has a counter per processor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Reason { $(#[doc = $sentence] $variant = $number,)* }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// One bit for every reason whose outcome is to pass, by its number.
            pub const PASSES: u64 =
                0 $(| if matches!(Outcome::$outcome, Outcome::Pass) { 1 << $number } else { 0 })*;

            /// The name used in counters, traces and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// One sentence that explains it to the person who runs the director.
            pub const fn sentence(self) -> &'static str {
                match self { $(Reason::$variant => $sentence,)* }
            }

            /// Whether the packet is left to the director's own network stack.
            pub const fn is_pass(self) -> bool {
                Self::PASSES >> (self as u32 & 63) & 1 == 1
            }

            /// What happens to the packet.
            pub const fn outcome(self) -> Outcome {
                match self { $(Reason::$variant => Outcome::$outcome,)* }
            }
        }
    };
}

/// Room for counters: a power of two, above every number in [`Reason`].
pub const REASONS: usize = 64;

reasons! {
    Forwarded = 0, "forwarded", Forward, "A client's packet went to its real server.";
    Replied = 1, "replied", Forward, "A real server's packet went to its client.";
    IcmpRelayed = 2, "icmp_relayed", Forward, "An ICMP error about a connection was translated and sent on.";
    FragmentForwarded = 3, "fragment_forwarded", Forward, "A later fragment followed the decision of its first.";

    Tunnelled = 4, "tunnelled", Forward, "A client's packet was encapsulated and went to its real server.";
    PassedThrough = 5, "passed_through", Forward, "A real server's reply with the virtual address as source came through the director and went to its client.";
    CutUp = 6, "cut_up", Forward, "A packet that travelled as several in one was cut, since its tunnel's checksum is of each; the pieces are counted as tunnelled.";

    NotOurs = 8, "not_ours", Pass, "The packet concerns no virtual service.";
    NotIp = 9, "not_ip", Pass, "The frame carries neither IPv4 nor anything else that is balanced.";
    NotForThisHost = 10, "not_for_this_host", Pass, "The frame is addressed to another machine's MAC.";
    AddressNotLocal = 11, "address_not_local", Pass, "The virtual address is not on this director now, as on a backup.";
    NoService = 12, "no_service", Pass, "The address is a virtual one, but this port and protocol are not a service.";
    NoConnection = 13, "no_connection", Pass, "A real server's packet belongs to no connection.";
    NotSyn = 14, "not_syn", Pass, "A TCP segment without connection that does not open one.";
    ToStack = 15, "to_stack", Pass, "XDP left the packet to the complete path on TC.";
    IcmpOther = 16, "icmp_other", Pass, "An ICMP message that is no error about a connection.";

    DeliveredHere = 17, "delivered_here", Pass, "The destination is the director itself.";
    ReplyFromHere = 18, "reply_from_here", Pass, "A local real server's packet went to its client.";

    NotConnected = 23, "not_connected", Drop, "A real server's packet belongs to no connection; it got port unreachable, as the setting nat_icmp_send says.";
    TruncatedHeader = 24, "truncated_header", Drop, "The frame ends inside a header.";
    BadIpHeader = 25, "bad_ip_header", Drop, "The IP header's version or lengths contradict each other.";
    BadTransportHeader = 26, "bad_transport_header", Drop, "The TCP or UDP header's length is impossible.";
    NoDestination = 27, "no_destination", Drop, "The service has no destination that may take a connection; the client got port unreachable.";
    DestinationUnavailable = 28, "destination_unavailable", Drop, "The connection's destination was removed from the service.";
    NextHopUnresolved = 29, "next_hop_unresolved", Drop, "The neighbour towards the destination has not answered yet.";
    HostUnreachable = 30, "host_unreachable", Drop, "The neighbour towards the destination does not answer; the sender got host unreachable.";
    NoRoute = 31, "no_route", Drop, "There is no route to where the packet should go.";
    TimeToLive = 32, "time_to_live", Drop, "The time to live ran out here; the sender got time exceeded.";
    TooBig = 33, "too_big", Drop, "The packet is larger than the next link carries and must not be fragmented; the sender got fragmentation needed.";
    TableFull = 34, "table_full", Drop, "No slot was free where the connection's hash points.";
    FragmentBeforeFirst = 35, "fragment_before_first", Drop, "A later fragment came before the first, which alone has the ports.";
    FragmentTooShort = 36, "fragment_too_short", Drop, "A first fragment is too short to hold the ports.";
    MethodNotBuilt = 37, "method_not_built", Drop, "The destination's forwarding method is accepted but not built yet.";
    SchedulerNotBuilt = 38, "scheduler_not_built", Drop, "The service's scheduler is accepted but not built yet.";
    BadIcmp = 39, "bad_icmp", Drop, "An ICMP error whose embedded packet is cut off.";
    RewriteFailed = 40, "rewrite_failed", Drop, "The kernel refused room or access to rewrite the packet.";
    TableMissing = 41, "table_missing", Drop, "A table entry that must be there is not; restart the daemon to repair.";
    CannotFragment = 42, "cannot_fragment", Drop, "The packet is too large for the next link and may be fragmented, but is in a tunnel, has IP options, or its checksum is left to a device.";

    LocalNat = 43, "local_nat", Drop, "VS/NAT to a loopback address cannot be: its replies would never leave; use -g.";
    TunnelChecksum = 44, "tunnel_checksum", Drop, "This tunnel's checksum cannot be made for a packet that the device will cut, and there is nothing that cuts it first (the daemon's log says why); switch generic receive offload off, or choose nocsum.";
    StageMissing = 45, "stage_missing", Drop, "A part of the data plane is not loaded; restart the daemon to repair.";
    NoLocalPort = 46, "no_local_port", Drop, "The service's local addresses ran dry: every local port that was tried towards the real server is in use, or there is no local address of its family.";
    Shed = 47, "shed", Drop, "A packet would have opened a connection, and was the one of so many that the setting drop_packet drops.";

    IcmpRateLimited = 48, "icmp_rate_limited", Note, "An ICMP error of the director's own was held back by its rate limit.";
    NewConnection = 49, "new_connection", Note, "A connection was made.";
    ConnectionReused = 50, "connection_reused", Note, "A closed connection's client port was opened anew.";
    AmbiguousReply = 51, "ambiguous_reply", Note, "Two virtual services share a real server's port for the same client port.";
    OtherBucket = 52, "other_bucket", Note, "A connection went to another bucket than its home, which had little room left.";
    Expired = 53, "expired", Note, "A connection was removed at the end of its time.";
    LostRace = 54, "lost_race", Note, "Two processors made the same connection at once; one gave way.";
    ConnectedFromHere = 55, "connected_from_here", Note, "A client on the director itself was connected to a real server of the virtual service that it asked for.";
    AddressTold = 56, "address_told", Note, "A real server was told the client's address.";
    AddressUntold = 57, "address_untold", Note, "A real server was not told the client's address, as its TCP header had no room for it.";
    Untranslatable = 58, "untranslatable", Drop, "The packet has no counterpart in the real server's address family: a fragment, IP options, extension headers, or a datagram without checksum.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_number_below_the_counters() {
        let mut seen = [false; REASONS];
        for reason in Reason::ALL {
            let slot = &mut seen[*reason as usize];
            assert!(!*slot, "{} shares its number", reason.name());
            *slot = true;
        }
    }

    #[test]
    fn every_reason_has_a_name_and_a_sentence_of_its_own() {
        for (i, a) in Reason::ALL.iter().enumerate() {
            assert!(a.sentence().ends_with('.'));
            for b in &Reason::ALL[i + 1..] {
                assert_ne!(a.name(), b.name());
                assert_ne!(a.sentence(), b.sentence());
            }
        }
    }
}
