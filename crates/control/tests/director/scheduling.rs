//! 40 connections in a row through each scheduler, made by packets: the kernel's IPVS gave them to
//! the same servers. The tables are those of the schedulers' own tests; their README says how they
//! were recorded.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use abi::{MARK_RULES, Reason};
use control::{Director, Plane, Sizes};
use model::{Command, SchedulerFlags, ServiceRequest};
use plane_user::Memory;

use crate::common::{Do, IFINDEX, Lan, add, add_service, director, key};
use crate::packets::{Flag, listed, reason, serve, tcp};

const PICKS: &str = include_str!("../../../sched/tests/golden/picks.csv");
const ADDRESSED: &str = include_str!("../../../sched/tests/golden/addressed.csv");

/// A client's connection: from where, and to which address.
type Connection = (SocketAddr, IpAddr);

/// `172.16.10.40/20300/172.16.10.21`.
fn connection(text: &str) -> Connection {
    let fields: Vec<&str> = text.split('/').collect();
    let client = SocketAddr::new(fields[0].parse().unwrap(), fields[1].parse().unwrap());
    (client, fields[2].parse().unwrap())
}

/// Who has the fewest connections is found in a list of any length.
#[test]
fn in_a_long_list_everybody_gets_a_connection_before_anybody_gets_a_second() {
    let sizes = Sizes::chosen(4096, 8, 512, 2).unwrap();
    let mut director = Director::new(Memory::new(&sizes, 42), sizes);
    let service: SocketAddr = ([172, 16, 10, 21], 80).into();
    director.must(add_service(&format!("TCP {service}"), "lc"));
    for host in 0..300u16 {
        let server = format!("192.168.{}.{}:80", host / 200, host % 200 + 1);
        director.must(add(&format!("TCP {service}"), &server, 1));
    }
    let mut lan = Lan::default();
    lan.local.insert(service.ip());
    lan.routes
        .insert((Ipv4Addr::UNSPECIFIED.into(), 0), (IFINDEX, None));
    serve(&mut director, &lan);
    for port in 2000..2600 {
        let client: SocketAddr = ([198, 51, 100, 7], port).into();
        let frame = tcp(client, service, Flag::Syn);
        assert_eq!(reason(&director, &frame), Reason::Forwarded);
        let loads = director.plane().view().loads[..300].iter();
        let most = loads.map(|load| load.active.load()).max();
        assert_eq!(most, Some(u32::from(port - 2000) / 300 + 1));
    }
}

/// A director with a service at every address that is asked for: one of them, or a firewall mark's.
struct Recorded {
    director: Director<Memory>,
    open: VecDeque<(Connection, SocketAddr)>,
}

impl Recorded {
    fn new(scheduler: &str, flags: &str, weights: &str, connections: &[Connection]) -> Self {
        let mut director = director();
        let first = connections[0].1;
        let is_one = connections.iter().all(|connection| connection.1 == first);
        let service = if is_one {
            format!("TCP {}", SocketAddr::new(first, 80))
        } else {
            "FWM 1".to_owned()
        };
        let mut request = ServiceRequest::new(key(&service), scheduler);
        request.scheduler_flags = SchedulerFlags {
            first: flags.contains("fallback"),
            second: flags.contains("port"),
            third: false,
        };
        director.must(Command::AddService(request));
        for (host, weight) in [39, 23, 31].into_iter().zip(weights.split(':')) {
            let server = if first.is_ipv6() {
                format!("[fd00:100::{host}]:80")
            } else {
                format!("192.168.100.{host}:80")
            };
            director.must(add(&service, &server, weight.parse().unwrap()));
        }
        if !is_one {
            let rules = director.plane().view().mark_rules;
            for side in rules.chunks(MARK_RULES as usize) {
                side[0].mark.store(1);
                side[0].last_port.store(65535);
                side[0].is_used.store(1);
            }
        }
        let mut lan = Lan::default();
        lan.local
            .extend(connections.iter().map(|connection| connection.1));
        for any in [IpAddr::from(Ipv4Addr::UNSPECIFIED), "::".parse().unwrap()] {
            lan.routes.insert((any, 0), (IFINDEX, None));
        }
        lan.neighbours
            .extend(connections.iter().map(|connection| connection.0.ip()));
        serve(&mut director, &lan);
        Self {
            director,
            open: VecDeque::new(),
        }
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, flag: Flag) -> Reason {
        reason(&self.director, &tcp(from, to, flag))
    }

    /// Opens a connection, all the way; the server's last byte, 0 where nobody took it.
    fn open(&mut self, connection: Connection) -> u8 {
        let (client, address) = connection;
        let service = SocketAddr::new(address, 80);
        if self.send(client, service, Flag::Syn) != Reason::Forwarded {
            return 0;
        }
        let entries = listed(&self.director);
        let entry = entries.iter().find(|entry| entry.client == client).unwrap();
        let server = entry.destination;
        assert_eq!(self.send(server, client, Flag::SynAck), Reason::Replied);
        assert_eq!(self.send(client, service, Flag::Ack), Reason::Forwarded);
        self.open.push_back((connection, server));
        match server.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => {
                let last = ip.octets()[15];
                last / 16 * 10 + last % 16
            }
        }
    }

    /// Ends the oldest connection as the recording's client did: closed, or reset.
    fn end(&mut self, by: Flag) {
        let Some(((client, address), server)) = self.open.pop_front() else {
            return;
        };
        let service = SocketAddr::new(address, 80);
        assert_eq!(self.send(client, service, by), Reason::Forwarded);
        if by == Flag::Fin {
            assert_eq!(self.send(server, client, Flag::Fin), Reason::Replied);
        }
    }
}

fn replay(case: &str, mut recorded: Recorded, mode: &str, connections: &[Connection], picks: &str) {
    for (n, (connection, wanted)) in connections.iter().zip(picks.split(' ')).enumerate() {
        let wanted = match wanted {
            "rs1" => 39,
            "rs2" => 23,
            "rs3" => 31,
            _ => 0,
        };
        assert_eq!(recorded.open(*connection), wanted, "{case}, connection {n}");
        match mode {
            "close" => recorded.end(Flag::Fin),
            "mix" if n % 2 == 1 => recorded.end(Flag::Rst),
            _ => {}
        }
    }
}

fn lines<const FIELDS: usize>(text: &str) -> impl Iterator<Item = [&str; FIELDS]> {
    text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        fields.try_into().unwrap()
    })
}

#[test]
fn schedulers_that_go_by_loads_and_turns_give_connections_to_whom_the_kernel_did() {
    let to = IpAddr::from([172, 16, 10, 21]);
    let client = |port: u16| (SocketAddr::from(([172, 16, 10, 40], 20_000 + port)), to);
    let connections: Vec<Connection> = (0..40).map(client).collect();
    let mut cases = 0;
    for [case, scheduler, weights, mode, picks] in lines::<5>(PICKS) {
        let recorded = Recorded::new(scheduler, "", weights, &connections);
        replay(case, recorded, mode, &connections, picks);
        cases += 1;
    }
    assert_eq!(cases, 56);
}

#[test]
fn schedulers_that_go_by_addresses_give_connections_to_whom_the_kernel_did() {
    let mut cases = 0;
    for [case, scheduler, flags, weights, mode, connections, picks] in lines::<7>(ADDRESSED) {
        let connections: Vec<Connection> = connections.split(' ').map(connection).collect();
        let recorded = Recorded::new(scheduler, flags, weights, &connections);
        replay(case, recorded, mode, &connections, picks);
        cases += 1;
    }
    assert!(cases > 25, "{cases}");
}
