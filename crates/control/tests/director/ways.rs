//! By which way packets get to a destination: its forwarding method, its tunnel, and whether it is
//! this machine.

use std::net::IpAddr;

use abi::{address_flags, destination_flags, hop_state, service_flags};
use control::{Director, Plane};
use model::{Command, Destination, Forwarding, Tunnel, TunnelChecksum, TunnelKind};
use plane_user::Memory;

use crate::common::{Do, Lan, add_by, add_service, director, flags_on, key, load, sizes, words};

const WEB: &str = "TCP 10.0.0.1:80";
const REAL: &str = "192.168.0.1:80";
const REAL_V6: &str = "[fd00:100::1]:80";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A network in which the director has these addresses.
fn lan(own: &[&str]) -> Lan {
    Lan {
        local: own.iter().map(|address| ip(address)).collect(),
        ..Lan::default()
    }
}

fn tunnelled(to: &str, kind: TunnelKind, port: u16, checksum: TunnelChecksum) -> Destination {
    Destination {
        tunnel: Tunnel {
            kind,
            port,
            checksum,
        },
        ..Destination::new(to.parse().unwrap(), Forwarding::Tunnel)
    }
}

fn serving(lan: &Lan, destinations: &[Destination]) -> Director<Memory> {
    let mut director = director();
    director.must_in(lan, add_service(WEB, "rr"));
    for &destination in destinations {
        let service = key(WEB);
        director.must_in(
            lan,
            Command::AddDestination {
                service,
                destination,
            },
        );
    }
    director
}

fn edit(to: &str, forwarding: Forwarding) -> Command {
    Command::EditDestination {
        service: key(WEB),
        destination: Destination::new(to.parse().unwrap(), forwarding),
    }
}

fn hop(director: &Director<Memory>, destination: &str) -> u32 {
    let index = director.cell(WEB, destination).next_hop.load();
    director.plane().view().next_hops[index as usize]
        .state
        .load()
}

fn method(director: &Director<Memory>) -> u32 {
    director.cell(WEB, REAL).port_method.load() >> 16
}

fn service_flags(director: &Director<Memory>) -> u32 {
    let view = director.plane().view();
    let mut cells = view.services_of(view.globals.side.load()).iter();
    cells
        .find(|cell| cell.key.load() != 0)
        .map_or(0, |cell| cell.flags.load())
}

/// Numbers of `IP_VS_CONN_F_TUNNEL_TYPE_*` and `IP_VS_TUNNEL_ENCAP_FLAG_*` in the kernel's
/// `linux/ip_vs.h`.
#[test]
fn a_tunnels_kind_flags_and_port_have_the_kernels_numbers() {
    let port = u32::from(6080u16.to_be()) << 16;
    for (kind, given, checksum, expected) in [
        (TunnelKind::Ipip, 0, TunnelChecksum::None, 0),
        (TunnelKind::Gue, 6080, TunnelChecksum::None, 1 | port),
        (TunnelKind::Gue, 6080, TunnelChecksum::Full, 0x101 | port),
        (TunnelKind::Gue, 6080, TunnelChecksum::Remote, 0x201 | port),
        (TunnelKind::Gre, 0, TunnelChecksum::None, 2),
        (TunnelKind::Gre, 0, TunnelChecksum::Full, 0x102),
    ] {
        let destination = tunnelled(REAL, kind, given, checksum);
        let director = serving(&lan(&["192.168.0.254"]), &[destination]);
        let cell = director.cell(WEB, REAL);
        assert_eq!(cell.tunnel.load(), expected, "{kind:?} {checksum:?}");
        assert_eq!(load(&cell.tunnel_source), words("192.168.0.254"));
    }
}

#[test]
fn a_tunnels_source_is_of_the_real_servers_family_and_follows_the_network() {
    let ipip = |to| tunnelled(to, TunnelKind::Ipip, 0, TunnelChecksum::None);
    let before = lan(&["192.168.0.254", "fd00:100::fe"]);
    let mut director = serving(&before, &[ipip(REAL), ipip(REAL_V6)]);
    let source = |director: &Director<Memory>, to| load(&director.cell(WEB, to).tunnel_source);
    assert_eq!(source(&director, REAL), words("192.168.0.254"));
    assert_eq!(source(&director, REAL_V6), words("fd00:100::fe"));
    let waits = director.plane().waits();
    let after = lan(&["192.168.0.253", "fd00:100::fd"]);
    director.follow(&after).unwrap();
    assert_eq!(source(&director, REAL), words("192.168.0.253"));
    assert_eq!(source(&director, REAL_V6), words("fd00:100::fd"));
    assert_eq!(hop(&director, REAL_V6), hop_state::RESOLVED);
    // No packet may read one half of the old and one of the new.
    assert!(director.plane().waits() > waits);
    assert_eq!(director.hops().usage().0, 2);
}

#[test]
fn a_tunnel_without_a_source_has_no_route_until_there_is_one() {
    let ipip = tunnelled(REAL_V6, TunnelKind::Ipip, 0, TunnelChecksum::None);
    let mut director = serving(&lan(&["192.168.0.254"]), &[ipip]);
    assert_eq!(hop(&director, REAL_V6), hop_state::NO_ROUTE);
    director.follow(&lan(&["fd00:100::fe"])).unwrap();
    assert_eq!(hop(&director, REAL_V6), hop_state::RESOLVED);
    director.follow(&Lan::default()).unwrap();
    assert_eq!(hop(&director, REAL_V6), hop_state::NO_ROUTE);
    assert_eq!(director.hops().usage().0, 1);
}

#[test]
fn routing_to_a_real_server_needs_no_source() {
    let route = Destination::new(REAL.parse().unwrap(), Forwarding::Route);
    let director = serving(&Lan::default(), &[route]);
    assert_eq!(hop(&director, REAL), hop_state::RESOLVED);
}

#[test]
fn only_masqueraded_destinations_answer_through_the_director() {
    let of = |to: &str, forwarding| Destination::new(to.parse().unwrap(), forwarding);
    let destinations = [
        of("192.168.0.1:80", Forwarding::Masq),
        of("192.168.0.2:80", Forwarding::Route),
        of("192.168.0.3:80", Forwarding::Tunnel),
    ];
    let director = serving(&Lan::default(), &destinations);
    let flags = |last| {
        let address = IpAddr::from([192, 168, 0, last]);
        [0, 1].map(|side| flags_on(director.plane(), side, address))
    };
    let real = address_flags::REAL;
    assert_eq!([1, 2, 3].map(flags), [[real; 2], [0; 2], [0; 2]]);
}

#[test]
fn another_forwarding_method_takes_the_place_of_the_one_before() {
    let masq = Destination::new(REAL.parse().unwrap(), Forwarding::Masq);
    let mut director = serving(&Lan::default(), &[masq]);
    let flags = |director: &Director<Memory>| {
        [0, 1].map(|side| flags_on(director.plane(), side, ip("192.168.0.1")))
    };
    assert_eq!(
        (method(&director), service_flags(&director)),
        (u32::from(abi::method::MASQUERADE), 0)
    );
    director.must(edit(REAL, Forwarding::Tunnel));
    assert_eq!(
        (method(&director), service_flags(&director)),
        (u32::from(abi::method::TUNNEL), service_flags::TUNNELS)
    );
    assert_eq!(flags(&director), [0, 0]);
    assert_eq!(hop(&director, REAL), hop_state::NO_ROUTE);
    director.must(edit(REAL, Forwarding::Route));
    assert_eq!(
        (method(&director), service_flags(&director)),
        (u32::from(abi::method::DIRECT_ROUTE), 0)
    );
    assert_eq!(hop(&director, REAL), hop_state::RESOLVED);
    assert_eq!(director.hops().usage().0, 1);
    director.must(edit(REAL, Forwarding::Masq));
    assert_eq!(flags(&director), [address_flags::REAL; 2]);
}

#[test]
fn a_real_server_that_is_this_machine_is_known_as_such_while_it_is() {
    for (real, address) in [(REAL, "192.168.0.1"), (REAL_V6, "fd00:100::1")] {
        let service = if address.contains(':') {
            "TCP [fd00:10::21]:80"
        } else {
            WEB
        };
        let here = lan(&[address]);
        let mut director = director();
        director.must_in(&here, add_service(service, "rr"));
        director.must_in(&here, add_by(Forwarding::Masq, service, real));
        let seen = |director: &Director<Memory>| {
            let cell = director.cell(service, real).flags.load();
            let side = director.plane().view().globals.side.load();
            let address = flags_on(director.plane(), side, ip(address));
            (cell & destination_flags::LOCAL != 0, address)
        };
        let both = address_flags::REAL | address_flags::LOCAL;
        assert_eq!(seen(&director), (true, both));
        director.follow(&Lan::default()).unwrap();
        assert_eq!(seen(&director), (false, address_flags::REAL));
        director.follow(&here).unwrap();
        assert_eq!(seen(&director), (true, both));
        let saved = director.saved();
        let director =
            Director::adopt(director.into_plane(), sizes(), &saved, &Lan::default()).unwrap();
        assert_eq!(seen(&director), (false, address_flags::REAL));
    }
}
