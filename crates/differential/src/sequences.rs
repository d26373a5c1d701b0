//! Connections one after the other, as `crates/sched/tests/golden/picks.csv` and `addressed.csv` have recorded who
//! took each: real clients' handshakes through a director.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use control::Plane;

use crate::case::{Flags, Packet, Step};
use crate::lan::{SERVERS, VIRTUAL};
use crate::listing;
use crate::world::World;

const FIN_ACK: u8 = 0x11;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SYN_ACK: u8 = 0x12;
/// The real servers' port.
const SERVER_PORT: u16 = 80;
const SERVICE_PORT: u16 = 7001;

/// A line of either file, except those for IPv6 and for several virtual addresses.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// What it is called.
    pub name: String,
    scheduler: String,
    weights: Vec<u32>,
    mode: Mode,
    clients: Vec<SocketAddrV4>,
    /// Who took each connection; `-` where it was refused.
    pub picks: Vec<String>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It stays open.
    Keep,
    /// It is closed before the next.
    Close,
    /// After every second one the oldest open one is reset.
    Mix,
}

/// The lines of `picks.csv`.
pub fn picks(text: &str) -> Vec<Sequence> {
    text.lines().skip(1).filter_map(pick).collect()
}

fn pick(line: &str) -> Option<Sequence> {
    let fields: Vec<&str> = line.split(',').collect();
    let [name, scheduler, weights, mode, picks] = fields[..] else {
        return None;
    };
    let client = Ipv4Addr::new(172, 16, 10, 40);
    let picks = words(picks);
    let ports = (20_000..).take(picks.len());
    Some(Sequence {
        name: name.to_owned(),
        scheduler: scheduler.to_owned(),
        weights: numbers(weights)?,
        mode: by_name(mode)?,
        clients: ports.map(|port| SocketAddrV4::new(client, port)).collect(),
        picks,
    })
}

/// The lines of `addressed.csv` whose clients and virtual address are those of one IPv4 service.
pub fn addressed(text: &str) -> Vec<Sequence> {
    text.lines().skip(1).filter_map(address).collect()
}

fn address(line: &str) -> Option<Sequence> {
    let fields: Vec<&str> = line.split(',').collect();
    let [name, scheduler, flags, weights, mode, connections, picks] = fields[..] else {
        return None;
    };
    let flags = match flags {
        "" => String::new(),
        flags => format!(" -b {}", flags.replace('+', ",")),
    };
    let connections = words(connections);
    let clients: Option<Vec<SocketAddrV4>> = connections.iter().map(|text| client(text)).collect();
    Some(Sequence {
        name: name.to_owned(),
        scheduler: format!("{scheduler}{flags}"),
        weights: numbers(weights)?,
        mode: by_name(mode)?,
        clients: clients?,
        picks: words(picks),
    })
}

/// A client of `172.16.10.100/35000/172.16.10.21`.
fn client(text: &str) -> Option<SocketAddrV4> {
    let mut parts = text.split('/');
    let (address, port) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let to: Ipv4Addr = parts.next()?.parse().ok()?;
    (to == VIRTUAL[0]).then_some(SocketAddrV4::new(address, port))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split(':').map(|number| number.parse().ok()).collect()
}

fn by_name(mode: &str) -> Option<Mode> {
    match mode {
        "keep" => Some(Mode::Keep),
        "close" => Some(Mode::Close),
        "mix" => Some(Mode::Mix),
        _ => None,
    }
}

/// Plays a sequence; who took each connection.
pub fn play<P: Plane>(world: &mut World<P>, sequence: &Sequence) -> Vec<String> {
    let to = SocketAddrV4::new(VIRTUAL[0], SERVICE_PORT);
    let mut configure = |words: String| {
        world.step(&Step::Ipvsadm(words));
    };
    configure(format!("-A -t {to} -s {}", sequence.scheduler));
    for (server, weight) in SERVERS.iter().zip(&sequence.weights) {
        configure(format!(
            "-a -t {to} -r {server}:{SERVER_PORT} -m -w {weight}"
        ));
    }
    let mut open = VecDeque::new();
    let clients = sequence.clients.iter().enumerate();
    clients
        .map(|(number, &client)| {
            let Some(server) = connect(world, client, to) else {
                return "-".to_owned();
            };
            match sequence.mode {
                Mode::Close => close(world, client, to, server),
                Mode::Keep | Mode::Mix => open.push_back(client),
            }
            if sequence.mode == Mode::Mix
                && number % 2 == 1
                && let Some(oldest) = open.pop_front()
            {
                send(world, oldest, to, RST);
            }
            let place = SERVERS.iter().position(|known| known == server.ip());
            place.map_or("nobody".to_owned(), |place| format!("rs{}", place + 1))
        })
        .collect()
}

/// The handshake. None where the client is refused.
fn connect<P: Plane>(
    world: &mut World<P>,
    client: SocketAddrV4,
    to: SocketAddrV4,
) -> Option<SocketAddrV4> {
    send(world, client, to, SYN);
    let (address, port) = listing::server_of(world.director().plane(), client, to)?;
    let server = SocketAddrV4::new(address, port);
    send(world, server, client, SYN_ACK);
    send(world, client, to, ACK);
    Some(server)
}

/// Closed by both, the client first.
fn close<P: Plane>(
    world: &mut World<P>,
    client: SocketAddrV4,
    to: SocketAddrV4,
    server: SocketAddrV4,
) {
    send(world, client, to, FIN_ACK);
    send(world, server, client, FIN_ACK);
    send(world, client, to, ACK);
}

fn send<P: Plane>(world: &mut World<P>, from: SocketAddrV4, to: SocketAddrV4, flags: u8) {
    world.step(&Step::Packet(Packet {
        from,
        to,
        flags: Some(Flags(flags)),
        length: 0,
    }));
}
