//! The parts of a packet's way.

/// A part of a packet's way that BPF verifies, and jumps to, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// From arrival on; forwards packets of known connections. IPv4's.
    Enter = 0,
    /// [`Stage::Enter`] for IPv6.
    EnterV6 = 1,
    /// From departure on: what this machine itself sends. IPv4's.
    Depart = 2,
    /// [`Stage::Depart`] for IPv6.
    DepartV6 = 3,
    /// Fragments.
    Fragment = 4,
    /// [`Stage::Fragment`] for IPv6.
    FragmentV6 = 5,
    /// ICMP about connections.
    Relay = 6,
    /// [`Stage::Relay`] for IPv6.
    RelayV6 = 7,
    /// Packets to a virtual service that may open a connection.
    Open = 8,
    /// [`Stage::Open`] for IPv6.
    OpenV6 = 9,
    /// Makes the connection for a packet whose destination is chosen.
    Make = 10,
    /// [`Stage::Make`] for IPv6.
    MakeV6 = 11,
    /// Forwards a packet, the connection of which is left in [`crate::Carry`].
    Onward = 12,
    /// [`Stage::Onward`] for IPv6.
    OnwardV6 = 13,
    /// Translates an ICMP error, the connection of which is left in [`crate::Carry`].
    Translate = 14,
    /// [`Stage::Translate`] for IPv6.
    TranslateV6 = 15,
    /// Encapsulates an IPv4 packet.
    Tunnel = 16,
    /// [`Stage::Tunnel`] for IPv6.
    TunnelV6 = 17,
    /// Answers with an ICMP error.
    Answer = 18,
    /// [`Stage::Answer`] for IPv6.
    AnswerV6 = 19,
    /// Asks the client's persistence template.
    Persist = 20,
    /// [`Stage::Persist`] for IPv6.
    PersistV6 = 21,
    /// Forwards an IPv4 client's packet under FULLNAT.
    Fullnat = 22,
    /// [`Stage::Fullnat`] for an IPv6 client.
    FullnatV6 = 23,
    /// Forwards an IPv4 real server's packet to a local address of FULLNAT.
    Return = 24,
    /// [`Stage::Return`] for an IPv6 real server.
    ReturnV6 = 25,
    /// Translates an ICMP error about a connection under FULLNAT.
    FullnatError = 26,
    /// [`Stage::FullnatError`] for IPv6.
    FullnatErrorV6 = 27,
    /// Lends a local address and port to a connection of an IPv4 client.
    Lend = 28,
    /// [`Stage::Lend`] for an IPv6 client.
    LendV6 = 29,
    /// Makes of a segment, or of a copy that leaves, the one that tells an IPv4 real server the
    /// client's address.
    Tell = 30,
    /// [`Stage::Tell`] for an IPv6 real server.
    TellV6 = 31,
    /// Translates what an IPv4 client's answer acknowledges selectively.
    Sacks = 32,
    /// [`Stage::Sacks`] for an IPv6 client.
    SacksV6 = 33,
    /// Lends an IPv6 local address and port to a connection of an IPv4 client.
    LendOther = 34,
    /// Lends an IPv4 local address and port to a connection of an IPv6 client.
    LendOtherV6 = 35,
    /// Forwards an IPv4 client's packet under FULLNAT to an IPv6 real server.
    Cross = 36,
    /// Forwards an IPv6 client's packet under FULLNAT to an IPv4 real server.
    CrossV6 = 37,
    /// Forwards an IPv4 real server's packet to an IPv6 client.
    CrossBack = 38,
    /// Forwards an IPv6 real server's packet to an IPv4 client.
    CrossBackV6 = 39,
    /// Tells of an ICMP error about a packet of a connection between the families.
    CrossError = 40,
    /// [`Stage::CrossError`] for an ICMPv6 error.
    CrossErrorV6 = 41,
    /// Asks the scheduler, for either family.
    Schedule = 42,
    /// Sends an IPv4 packet, the connection of which is left in [`crate::Carry`], in fragments.
    Cut = 43,
}

impl Stage {
    /// The name that its program ends with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::EnterV6 => "enter_v6",
            Self::Depart => "depart",
            Self::DepartV6 => "depart_v6",
            Self::Fragment => "fragment",
            Self::FragmentV6 => "fragment_v6",
            Self::Relay => "relay",
            Self::RelayV6 => "relay_v6",
            Self::Open => "open",
            Self::OpenV6 => "open_v6",
            Self::Make => "make",
            Self::MakeV6 => "make_v6",
            Self::Onward => "onward",
            Self::OnwardV6 => "onward_v6",
            Self::Translate => "translate",
            Self::TranslateV6 => "translate_v6",
            Self::Tunnel => "tunnel",
            Self::TunnelV6 => "tunnel_v6",
            Self::Answer => "answer",
            Self::AnswerV6 => "answer_v6",
            Self::Persist => "persist",
            Self::PersistV6 => "persist_v6",
            Self::Fullnat => "fullnat",
            Self::FullnatV6 => "fullnat_v6",
            Self::Return => "return",
            Self::ReturnV6 => "return_v6",
            Self::FullnatError => "fullnat_error",
            Self::FullnatErrorV6 => "fullnat_error_v6",
            Self::Lend => "lend",
            Self::LendV6 => "lend_v6",
            Self::Tell => "tell",
            Self::TellV6 => "tell_v6",
            Self::Sacks => "sacks",
            Self::SacksV6 => "sacks_v6",
            Self::LendOther => "lend_other",
            Self::LendOtherV6 => "lend_other_v6",
            Self::Cross => "cross",
            Self::CrossV6 => "cross_v6",
            Self::CrossBack => "cross_back",
            Self::CrossBackV6 => "cross_back_v6",
            Self::CrossError => "cross_error",
            Self::CrossErrorV6 => "cross_error_v6",
            Self::Schedule => "schedule",
            Self::Cut => "cut",
        }
    }

    /// Whether it is one of IPv6's.
    #[inline(always)]
    pub const fn is_v6(self) -> bool {
        let number = self as u32;
        number & 1 == 1 && number < Self::Schedule as u32
    }

    /// What makes it needed, beside IPv4 itself.
    pub const fn needs(self) -> Needs {
        let between_families = matches!(
            self,
            Self::LendOther
                | Self::LendOtherV6
                | Self::Cross
                | Self::CrossV6
                | Self::CrossBack
                | Self::CrossBackV6
                | Self::CrossError
                | Self::CrossErrorV6
        );
        let fullnat = matches!(
            self,
            Self::Fullnat
                | Self::FullnatV6
                | Self::Return
                | Self::ReturnV6
                | Self::FullnatError
                | Self::FullnatErrorV6
                | Self::Lend
                | Self::LendV6
                | Self::Tell
                | Self::TellV6
                | Self::Sacks
                | Self::SacksV6
        );
        Needs {
            v6: self.is_v6() || between_families,
            fullnat: fullnat || between_families,
        }
    }

    /// All, in the order of their numbers.
    pub const ALL: [Self; 44] = [
        Self::Enter,
        Self::EnterV6,
        Self::Depart,
        Self::DepartV6,
        Self::Fragment,
        Self::FragmentV6,
        Self::Relay,
        Self::RelayV6,
        Self::Open,
        Self::OpenV6,
        Self::Make,
        Self::MakeV6,
        Self::Onward,
        Self::OnwardV6,
        Self::Translate,
        Self::TranslateV6,
        Self::Tunnel,
        Self::TunnelV6,
        Self::Answer,
        Self::AnswerV6,
        Self::Persist,
        Self::PersistV6,
        Self::Fullnat,
        Self::FullnatV6,
        Self::Return,
        Self::ReturnV6,
        Self::FullnatError,
        Self::FullnatErrorV6,
        Self::Lend,
        Self::LendV6,
        Self::Tell,
        Self::TellV6,
        Self::Sacks,
        Self::SacksV6,
        Self::LendOther,
        Self::LendOtherV6,
        Self::Cross,
        Self::CrossV6,
        Self::CrossBack,
        Self::CrossBackV6,
        Self::CrossError,
        Self::CrossErrorV6,
        Self::Schedule,
        Self::Cut,
    ];
}

/// What a configuration needs of the packet's way beside IPv4 without FULLNAT. The stages that
/// nothing needs need not be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// IPv6, on either side of a service.
    pub v6: bool,
    /// FULLNAT.
    pub fullnat: bool,
}

impl Needs {
    /// Everything.
    pub const ALL: Self = Self {
        v6: true,
        fullnat: true,
    };

    /// What either needs.
    pub const fn and(self, other: Self) -> Self {
        Self {
            v6: self.v6 || other.v6,
            fullnat: self.fullnat || other.fullnat,
        }
    }

    /// Whether what these need covers what those need.
    pub const fn cover(self, those: Self) -> bool {
        (self.v6 || !those.v6) && (self.fullnat || !those.fullnat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_listed_by_their_numbers_and_named_apart() {
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, number);
            assert_eq!(stage.is_v6(), stage.name().ends_with("_v6"));
        }
    }
}
