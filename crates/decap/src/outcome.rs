//! What became of packets, each with a reason that has a name, a sentence and a counter.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken out of its tunnel, and handed up the stack.
    Decapsulated,
    /// Left to the host's own network stack, untouched.
    Left,
    /// Discarded.
    Dropped,
}

macro_rules! outcomes {
    ($($variant:ident = $number:literal, $name:literal, $fate:ident, $sentence:literal;)*) => {
        /// What became of a packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Outcome { $(#[doc = $sentence] $variant = $number,)* }

        impl Outcome {
            /// All outcomes, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used where they are counted.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence that explains it to the person who runs the real server.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What happens to the packet.
            pub const fn fate(self) -> Fate {
                match self { $(Self::$variant => Fate::$fate,)* }
            }
        }
    };
}

/// Room for counters: above every number of an [`Outcome`].
pub const OUTCOMES: u32 = 16;

outcomes! {
    Other = 0, "other", Left, "The packet is in none of the tunnels that end here.";
    Ipip = 1, "ipip", Decapsulated, "A packet was taken out of IP.";
    Gre = 2, "gre", Decapsulated, "A packet was taken out of GRE.";
    Gue = 3, "gue", Decapsulated, "A packet was taken out of GUE.";
    NotOwn = 4, "not_own", Left, "The tunnel leads to an address that this host does not have.";
    NotVirtual = 5, "not_virtual", Left, "The packet inside is for none of the virtual addresses.";
    Fragment = 6, "fragment", Left, "A piece of an encapsulated packet: the director's path MTU to here is not what it takes it for.";
    Unsupported = 7, "unsupported", Left, "The tunnel's header asks for what is not done here: GRE keys, sequence numbers or routing, GUE's other versions and flags.";
    Malformed = 8, "malformed", Left, "The headers contradict each other or the packet's length.";
    Checksum = 9, "checksum", Dropped, "The tunnel's checksum is wrong.";
    Congestion = 10, "congestion", Dropped, "A router on the way marked congestion, and the packet inside cannot carry the mark (RFC 6040, section 4.2).";
    TooLong = 11, "too_long", Dropped, "The packet is too long for its checksum to be computed here.";
    Refused = 12, "refused", Dropped, "The kernel refused to change the packet.";
}
