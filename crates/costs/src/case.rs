//! The cases whose instructions are counted, each a way through the forwarding function.

use abi::Reason;
use forward::{Action, Verdict};
use model::{Forwarding, Protocol, TunnelKind};
use plane_user::{Frame, Memory};

use crate::frames::{ACK, Ends, FIN, SYN, unreachable};
use crate::site::{CONNECTIONS, IFINDEX, Service, director};
use crate::walk;

/// Packets that are counted, each of another client.
pub const PACKETS: u8 = 100;

/// What packets meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Their connection.
    Known,
    /// Their connection, from the real server's side.
    Reply,
    /// Nothing: they are not the director's business.
    NotOurs,
    /// A scheduler that makes them a connection.
    New,
    /// The same, where the client has had another connection.
    NewAgain,
    /// A full connection table.
    Full,
    /// Their connection, which they end.
    Closing,
    /// Their connection, about which they are an ICMP error.
    Error,
}

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    service: Service,
    way: Way,
    /// Whether packets are taken at TC, not at XDP.
    is_tc: bool,
    /// Whether somebody traces.
    is_traced: bool,
}

const NAT: Service = Service::by(Forwarding::Masq);
const DR: Service = Service::by(Forwarding::Route);
const TUN: Service = Service::by(Forwarding::Tunnel);
const FULLNAT: Service = Service::by(Forwarding::FullNat);
const GUE: Service = Service {
    tunnel: TunnelKind::Gue,
    ..TUN
};
const UDP: Service = Service {
    protocol: Protocol::Udp,
    ..NAT
};
const STICKY: Service = Service {
    is_persistent: true,
    ..NAT
};

/// All of them.
pub const CASES: [Case; 31] = {
    use Way::{Closing, Error, Full, Known, New, NewAgain, NotOurs, Reply};
    [
        case("DR: known connection", DR, Known),
        case("DR: new connection, rr", DR, New),
        case("FULLNAT: known connection", FULLNAT, Known),
        case("FULLNAT: new connection, rr", FULLNAT, New),
        case("FULLNAT: reply", FULLNAT, Reply),
        case("NAT: ICMP error, TC", NAT, Error).on_tc(),
        case("NAT: SYN at a full table", NAT, Full),
        case("NAT: client's FIN", NAT, Closing),
        case("NAT: known connection", NAT, Known),
        case("NAT: known connection, TC", NAT, Known).on_tc(),
        case("NAT: known connection, UDP", UDP, Known),
        case("NAT: known connection, traced", NAT, Known).traced(),
        case("NAT: new connection, UDP", UDP, New),
        case("NAT: new connection, lc", NAT.scheduled("lc"), New),
        case("NAT: new connection, mh", NAT.scheduled("mh"), New),
        case("NAT: new connection, rr", NAT, New),
        case("NAT: new connection, rr, TC", NAT, New).on_tc(),
        case("NAT: new connection, rr, persistent", STICKY, New),
        case("NAT: new connection, rr, template known", STICKY, NewAgain),
        case("NAT: new connection, sh", NAT.scheduled("sh"), New),
        case("NAT: new connection, wlc", NAT.scheduled("wlc"), New),
        case("NAT: not ours", NAT, NotOurs),
        case("NAT: not ours, TC", NAT, NotOurs).on_tc(),
        case("NAT: reply", NAT, Reply),
        case("TUN gue: known connection", GUE, Known),
        case("TUN ipip: known connection", TUN, Known),
        case("IPv6 DR: known connection", DR.v6(), Known),
        case("IPv6 NAT: known connection", NAT.v6(), Known),
        case("IPv6 NAT: new connection, rr", NAT.v6(), New),
        case("IPv6 NAT: not ours", NAT.v6(), NotOurs),
        case("IPv6 NAT: reply", NAT.v6(), Reply),
    ]
};

const fn case(name: &'static str, service: Service, way: Way) -> Case {
    Case {
        name,
        service,
        way,
        is_tc: false,
        is_traced: false,
    }
}

impl Case {
    const fn traced(self) -> Self {
        let is_traced = true;
        Self { is_traced, ..self }
    }

    const fn on_tc(self) -> Self {
        let is_tc = true;
        Self { is_tc, ..self }
    }

    /// Sends all packets through a new director.
    ///
    /// # Panics
    /// When one goes another way than it should.
    pub fn run(self) {
        if self.is_tc {
            self.run_at::<true>();
        } else {
            self.run_at::<false>();
        }
    }

    fn run_at<const TC: bool>(self) {
        let director = director(self.service, !TC);
        for packet in self.packets::<TC>(director.plane()) {
            let mut frame = Frame::<TC>::new(director.plane(), IFINDEX, &packet);
            let verdict = if self.is_traced {
                walk::counted(|| walk::traced(&mut frame))
            } else {
                walk::counted(|| walk::process(&mut frame))
            };
            self.check(verdict);
        }
    }

    /// The packets that are counted, after everything that must come before them.
    fn packets<const TC: bool>(self, memory: &Memory) -> Vec<Vec<u8>> {
        if self.way == Way::Full {
            fill::<TC>(memory, self.service);
        }
        (0..PACKETS)
            .map(|client| self.packet::<TC>(memory, client))
            .collect()
    }

    fn packet<const TC: bool>(self, memory: &Memory, client: u8) -> Vec<u8> {
        let ends = self.service.packet_of(client);
        let of_protocol = |ends: Ends, flags| match self.service.protocol {
            Protocol::Udp => ends.datagram(),
            _ => ends.segment(flags),
        };
        let opened = || {
            send::<TC>(memory, &of_protocol(ends, SYN));
            send::<TC>(memory, &of_protocol(ends, ACK))
        };
        match self.way {
            Way::NotOurs => self.service.foreign_packet(client).segment(ACK),
            Way::New | Way::Full => of_protocol(ends, SYN),
            Way::NewAgain => {
                let (address, port) = ends.from;
                let from = (address, port + 1);
                send::<TC>(memory, &of_protocol(Ends { from, ..ends }, SYN));
                of_protocol(ends, SYN)
            }
            Way::Known => {
                opened();
                of_protocol(ends, ACK)
            }
            Way::Reply => {
                let answer = of_protocol(Ends::of(&opened()).back(), ACK);
                // The first one looks for the way to the client.
                send::<TC>(memory, &answer);
                answer
            }
            Way::Closing => {
                opened();
                of_protocol(ends, FIN | ACK)
            }
            Way::Error => unreachable(&opened()),
        }
    }

    fn check(self, verdict: Verdict) {
        let is_tunnel = self.service.forwarding == Forwarding::Tunnel;
        let expected = match self.way {
            Way::Reply => (Action::Send, Reason::Replied),
            Way::NotOurs => (Action::Pass, Reason::NotOurs),
            Way::Full => (Action::Drop, Reason::TableFull),
            Way::Error => (Action::Send, Reason::IcmpRelayed),
            _ if is_tunnel => (Action::Send, Reason::Tunnelled),
            _ => (Action::Send, Reason::Forwarded),
        };
        let found = (verdict.action(), verdict.reason());
        assert_eq!(found, expected, "{}", self.name);
    }
}

/// Sends a packet that must go on; what left.
fn send<const TC: bool>(memory: &Memory, packet: &[u8]) -> Vec<u8> {
    let mut frame = Frame::<TC>::new(memory, IFINDEX, packet);
    let verdict = walk::process(&mut frame);
    assert_eq!(verdict.action(), Action::Send, "{:?}", verdict.reason());
    frame.bytes
}

/// Opens connections of other clients until there is no place for more.
fn fill<const TC: bool>(memory: &Memory, service: Service) {
    for number in 0..4 * CONNECTIONS {
        let mut ends = service.packet_of(PACKETS + (number % 128) as u8);
        ends.from.1 = 1024 + (number / 128) as u16;
        let mut frame = Frame::<TC>::new(memory, IFINDEX, &ends.segment(SYN));
        walk::process(&mut frame);
    }
}
