//! FULLNAT's local addresses: published, lent to connections, and taken back.

use std::net::IpAddr;

use abi::{Reason, address_flags};
use conntable::{Entry as _, Kind, Word};
use control::{Director, Plane, connections};
use model::{Command, Forwarding, Refusal};
use plane_user::Memory;

use crate::common::{
    Do, add_by, add_service, check_filter, director, flags_on, key, remove_service,
};
use crate::packets::{Flag, client, lan, listed, serve};

const WEB: &str = "TCP 10.0.0.1:80";
const REAL: &str = "192.168.0.1:80";
const LOCAL: [&str; 2] = ["192.168.0.20", "192.168.0.21"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn add_local(address: &str) -> Command {
    Command::AddLocalAddress {
        service: key(WEB),
        address: ip(address),
    }
}

fn delete_local(address: &str) -> Command {
    Command::DeleteLocalAddress {
        service: key(WEB),
        address: ip(address),
    }
}

/// A director with a real server under FULLNAT, and these local addresses.
fn lending(addresses: &[&str]) -> Director<Memory> {
    let mut director = director();
    director.must(add_service(WEB, "rr"));
    director.must(add_by(Forwarding::FullNat, WEB, REAL));
    for address in addresses {
        director.must(add_local(address));
    }
    serve(&mut director, &lan());
    director
}

/// Whether packets on both sides of the tables know an address as a local one.
fn is_lent(director: &Director<Memory>, address: &str) -> bool {
    let on = |side| flags_on(director.plane(), side, ip(address)) & address_flags::LENT != 0;
    assert_eq!(on(0), on(1));
    check_filter(director.plane());
    on(0)
}

/// Living aliases.
fn aliases(director: &Director<Memory>) -> usize {
    let slots = director.plane().connections().iter().flat_map(|b| &b.0);
    slots
        .filter(|slot| Word(slot.word().load()).is_live())
        .filter(|slot| slot.load().kind == Kind::Alias as u8)
        .count()
}

#[test]
fn a_local_address_is_one_as_long_as_a_service_has_it() {
    let mut director = lending(&LOCAL);
    assert!(LOCAL.iter().all(|address| is_lent(&director, address)));
    assert_eq!(director.status(WEB).local_addresses, LOCAL.map(ip));
    director.must(delete_local(LOCAL[0]));
    director.must(remove_service(WEB));
    // The sweep under way may have gone past the addresses' connections: the next one decides.
    director.sweep_all();
    director.sweep_all();
    assert!(!LOCAL.iter().any(|address| is_lent(&director, address)));
}

#[test]
fn a_local_address_that_was_taken_stays_as_long_as_connections_have_it() {
    let mut director = lending(&LOCAL[..1]);
    assert_eq!(client(&director, 40001, Flag::Syn), Reason::Forwarded);
    director.must(delete_local(LOCAL[0]));
    director.sweep_all();
    director.sweep_all();
    assert!(is_lent(&director, LOCAL[0]));
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::Forwarded);
    connections::end_connections(director.plane(), |_| true);
    director.sweep_all();
    director.sweep_all();
    assert!(!is_lent(&director, LOCAL[0]));
}

#[test]
fn a_local_address_is_added_once_and_deleted_once() {
    let mut director = lending(&LOCAL[..1]);
    let refusal = |director: &mut Director<Memory>, command| {
        director.run(command).err().map(|error| error.to_string())
    };
    let exists = Some(Refusal::LocalAddressExists.to_string());
    assert_eq!(refusal(&mut director, add_local(LOCAL[0])), exists);
    director.must(delete_local(LOCAL[0]));
    let missing = Some(Refusal::NoSuchLocalAddress.to_string());
    assert_eq!(refusal(&mut director, delete_local(LOCAL[0])), missing);
    let nobody_s = Some(Refusal::LocalAddressTaken.to_string());
    for nobody in ["0.0.0.0", "224.0.0.1", "::"] {
        assert_eq!(refusal(&mut director, add_local(nobody)), nobody_s);
    }
}

#[test]
fn a_connection_that_is_ended_takes_its_alias_along_at_once() {
    let director = lending(&LOCAL);
    for port in [40001, 40002] {
        assert_eq!(client(&director, port, Flag::Syn), Reason::Forwarded);
    }
    assert_eq!((listed(&director).len(), aliases(&director)), (2, 2));
    let number = director.publisher().numbers(&key(WEB)).unwrap();
    let number = number.destinations[&REAL.parse().unwrap()];
    connections::end_connections(director.plane(), |destination| destination == number);
    assert_eq!((listed(&director).len(), aliases(&director)), (0, 0));
}

#[test]
fn a_killed_daemon_is_followed_by_one_that_knows_what_was_lent() {
    let director = lending(&LOCAL);
    assert_eq!(client(&director, 40001, Flag::Syn), Reason::Forwarded);
    let mut director = director.restarted();
    serve(&mut director, &lan());
    assert_eq!(director.status(WEB).local_addresses, LOCAL.map(ip));
    assert!(LOCAL.iter().all(|address| is_lent(&director, address)));
    director.must(delete_local(LOCAL[0]));
    director.must(delete_local(LOCAL[1]));
    assert_eq!(client(&director, 40001, Flag::Ack), Reason::Forwarded);
    assert_eq!(client(&director, 40002, Flag::Syn), Reason::NoLocalPort);
}
