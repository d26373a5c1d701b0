//! Random cases.
//!
//! A case is played on the heap while it is made: so that real servers answer the clients that they have, and so that
//! no wait ends where it is in doubt whether a connection is forgotten yet.

use std::net::{Ipv4Addr, SocketAddrV4};

use fastrand::Rng;
use plane_user::Memory;

use crate::case::{Case, Flags, Packet, Step};
use crate::lan::{CLIENTS, SERVERS, VIRTUAL};
use crate::listing;
use crate::world::{UNTIL_COUNTED, World};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// TCP flags by how often they are sent.
const FLAGS: [u8; 16] = [
    ACK, ACK, ACK, 0x18, 0x18, 0x11, 0x11, 0x11, 0x01, 0x04, 0x04, 0x14, SYN, 0x00, 0x20, 0x03,
];
/// Schedulers and their flags.
const SCHEDULERS: [&str; 17] = [
    "rr",
    "rr",
    "wrr",
    "wrr",
    "lc",
    "wlc",
    "sed",
    "nq",
    "fo",
    "ovf",
    "sh",
    "sh -b sh-port,sh-fallback",
    "mh",
    "mh -b mh-port,mh-fallback",
    "dh",
    "lblc",
    "lblcr",
];
/// Seconds, around the timeouts that the kernel has.
const WAITS: [u32; 12] = [1, 2, 4, 7, 15, 20, 35, 65, 70, 130, 140, 1000];
/// Seconds after which a server that was taken out is put back surely remembered.
const REMEMBERED: u32 = 100;
const SETTINGS: [(&str, &[u32]); 5] = [
    ("conn_reuse_mode", &[0, 1, 2, 3]),
    ("expire_nodest_conn", &[0, 1]),
    ("expire_quiescent_template", &[0, 1]),
    ("sloppy_tcp", &[0, 1]),
    ("secure_tcp", &[0, 3]),
];

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut maker = Maker {
        rng: Rng::with_seed(seed),
        world: World::native(),
        case: Case {
            name: seed.to_string(),
            steps: Vec::new(),
        },
        services: Vec::new(),
        flows: Vec::new(),
        next_port: 1024,
        seconds: 0,
        has_all_ports: false,
    };
    maker.configure();
    for _ in 0..maker.rng.u32(12..36) {
        maker.happen();
    }
    maker.count();
    maker.case
}

/// A service and how it was made.
#[derive(Clone)]
struct Service {
    /// Such as `-t 172.16.10.21:80`.
    name: String,
    address: Ipv4Addr,
    port: u16,
    is_tcp: bool,
    /// Its options.
    options: String,
    /// Its real servers' names and methods, with those that were removed.
    servers: Vec<Server>,
}

#[derive(Clone)]
struct Server {
    name: String,
    method: &'static str,
    is_in: bool,
    /// When it was taken out.
    removed_at: Option<u32>,
}

/// A client's port and what it talks to.
#[derive(Clone, Copy)]
struct Flow {
    client: SocketAddrV4,
    to: SocketAddrV4,
    is_tcp: bool,
}

struct Maker {
    rng: Rng,
    world: World<Memory>,
    case: Case,
    services: Vec<Service>,
    flows: Vec<Flow>,
    next_port: u16,
    /// How long it has lasted.
    seconds: u32,
    /// A service takes all ports of the address that has FTP's.
    has_all_ports: bool,
}

impl Maker {
    fn push(&mut self, step: Step) {
        self.world.step(&step);
        match step {
            Step::Wait(seconds) => self.seconds += seconds,
            Step::Count => self.seconds += UNTIL_COUNTED,
            _ => (),
        }
        self.case.steps.push(step);
    }

    fn ipvsadm(&mut self, words: String) {
        self.push(Step::Ipvsadm(words));
    }

    fn configure(&mut self) {
        for _ in 0..self.rng.u32(0..3) {
            self.set();
        }
        if self.rng.u32(0..4) == 0 {
            self.timeouts();
        }
        let pool = [
            (VIRTUAL[0], 80, true),
            (VIRTUAL[0], 81, true),
            (VIRTUAL[1], 80, true),
            (VIRTUAL[0], 53, false),
            (VIRTUAL[1], 53, false),
            (VIRTUAL[1], 0, true),
            (VIRTUAL[1], 21, true),
        ];
        let wanted = self.rng.usize(1..=3);
        let chosen = self.rng.choose_multiple(pool, wanted);
        self.has_all_ports = chosen.iter().any(|&(_, port, _)| port == 0);
        for (address, port, is_tcp) in chosen {
            self.service(address, port, is_tcp);
        }
    }

    fn service(&mut self, address: Ipv4Addr, port: u16, is_tcp: bool) {
        let protocol = if is_tcp { "-t" } else { "-u" };
        let mut service = Service {
            name: format!("{protocol} {address}:{port}"),
            address,
            port,
            is_tcp,
            options: String::new(),
            servers: Vec::new(),
        };
        service.options = self.options(&service);
        self.ipvsadm(format!("-A {}{}", service.name, service.options));
        self.services.push(service);
        let which = self.services.len() - 1;
        for _ in 0..self.rng.u32(1..=4) {
            self.add_server(which);
        }
    }

    fn options(&mut self, service: &Service) -> String {
        let mut options = format!(" -s {}", self.one_of(&SCHEDULERS));
        // Templates for FTP would be those for all ports, whose service the kernel counts for.
        let may_persist = !(service.port == 21 && self.has_all_ports);
        if service.port == 0 || self.rng.u32(0..4) == 0 && may_persist {
            let seconds = self.rng.u32(20..200);
            options.push_str(&format!(" -p {seconds}"));
            if self.rng.u32(0..3) == 0 {
                options.push_str(" -M 255.255.255.0");
            }
        } else if !service.is_tcp && self.rng.u32(0..3) == 0 {
            options.push_str(" -o");
        }
        options
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(0..all.len())]
    }

    fn add_server(&mut self, which: usize) {
        let address = self.one_of(&SERVERS);
        let method = self.one_of(&["-m", "-m", "-m", "-g"]);
        let service = self.services[which].clone();
        let own = service.port;
        let port = if own != 0 && method == "-m" {
            self.one_of(&[own, 8080])
        } else {
            own
        };
        let name = format!("{address}:{port}");
        if service.servers.iter().any(|server| server.name == name) {
            return;
        }
        let (weight, thresholds) = (self.weight(), self.thresholds());
        let name_of = &service.name;
        self.ipvsadm(format!(
            "-a {name_of} -r {name} {method}{weight}{thresholds}"
        ));
        self.services[which].servers.push(Server {
            name,
            method,
            is_in: true,
            removed_at: None,
        });
    }

    fn weight(&mut self) -> String {
        format!(" -w {}", self.one_of(&[0, 1, 1, 1, 2, 3, 5]))
    }

    /// For a server that has no connections yet: for others xvs does as kernels from 2026 on.
    fn thresholds(&mut self) -> String {
        if self.rng.u32(0..6) != 0 {
            return String::new();
        }
        let upper = self.rng.u32(1..6);
        format!(" -x {upper} -y {}", self.rng.u32(0..=upper))
    }

    fn happen(&mut self) {
        match self.rng.u32(0..100) {
            0..34 => self.open(),
            34..52 => self.client_goes_on(),
            52..70 => self.server_answers(),
            70..73 => self.stray(),
            73..81 => self.wait(),
            81..93 => self.reconfigure(),
            93..97 => self.set(),
            97 => self.timeouts(),
            _ => self.count(),
        }
    }

    /// A client begins, by a port of its own or by one that it had used before.
    fn open(&mut self) {
        let which = self.rng.usize(0..self.services.len());
        let service = self.services[which].clone();
        let again = self.rng.u32(0..8) == 0;
        let flow = match (again, self.flows.is_empty()) {
            (true, false) => self.flows[self.rng.usize(0..self.flows.len())],
            _ => {
                self.next_port += 1;
                let client = SocketAddrV4::new(self.one_of(&CLIENTS), self.next_port);
                let port = match service.port {
                    0 => self.one_of(&[22, 80, 443]),
                    21 => self.one_of(&[21, 21, 2000]),
                    port => port,
                };
                Flow {
                    client,
                    to: SocketAddrV4::new(service.address, port),
                    is_tcp: service.is_tcp,
                }
            }
        };
        self.flows.push(flow);
        let length = self.payload();
        self.push(Step::Packet(Packet {
            from: flow.client,
            to: flow.to,
            flags: flow.is_tcp.then_some(Flags(SYN)),
            length: if flow.is_tcp { 0 } else { length },
        }));
    }

    fn payload(&mut self) -> usize {
        self.one_of(&[0, 0, 1, 13, 100])
    }

    fn flow(&mut self) -> Option<Flow> {
        let count = self.flows.len();
        // Rather one of the latest.
        let first = count.saturating_sub(4);
        (count > 0).then(|| self.flows[self.rng.usize(first..count)])
    }

    fn flags(&mut self, flow: Flow) -> Option<Flags> {
        let flags = self.one_of(&FLAGS);
        flow.is_tcp.then_some(Flags(flags))
    }

    fn client_goes_on(&mut self) {
        let Some(flow) = self.flow() else { return };
        let (flags, length) = (self.flags(flow), self.payload());
        self.push(Step::Packet(Packet {
            from: flow.client,
            to: flow.to,
            flags,
            length,
        }));
    }

    fn server_answers(&mut self) {
        let Some(flow) = self.flow() else { return };
        let plane = self.world.director().plane();
        let Some((server, port)) = listing::server_of(plane, flow.client, flow.to) else {
            return;
        };
        let flags = if self.rng.bool() {
            flow.is_tcp.then_some(Flags(SYN | ACK))
        } else {
            self.flags(flow)
        };
        let length = self.payload();
        self.push(Step::Packet(Packet {
            from: SocketAddrV4::new(server, port),
            to: flow.client,
            flags,
            length,
        }));
    }

    /// A packet of no connection, or to no service.
    fn stray(&mut self) {
        self.next_port += 1;
        let client = SocketAddrV4::new(self.one_of(&CLIENTS), self.next_port);
        let to = SocketAddrV4::new(self.one_of(&VIRTUAL), self.one_of(&[80, 81, 53, 9]));
        let flags = self.one_of(&[ACK, SYN, 0x04, 0x12, 0x11]);
        let is_tcp = self.rng.bool();
        self.push(Step::Packet(Packet {
            from: client,
            to,
            flags: is_tcp.then_some(Flags(flags)),
            length: 0,
        }));
    }

    fn wait(&mut self) {
        let seconds = self.one_of(&WAITS);
        self.wait_about(seconds);
    }

    fn count(&mut self) {
        if !self.world.is_clear(UNTIL_COUNTED) {
            self.wait_about(UNTIL_COUNTED);
        }
        if self.world.is_clear(UNTIL_COUNTED) {
            self.push(Step::Count);
        }
    }

    /// Waits so long, or a little longer where that would leave a doubt.
    fn wait_about(&mut self, seconds: u32) {
        let clear = (seconds..seconds + 400).find(|seconds| self.world.is_clear(*seconds));
        if let Some(seconds) = clear {
            self.push(Step::Wait(seconds));
        }
    }

    fn set(&mut self) {
        let (name, values) = self.one_of(&SETTINGS);
        let value = self.one_of(values);
        self.push(Step::Set(name.to_owned(), value));
    }

    fn timeouts(&mut self) {
        let tcp = self.one_of(&[10, 30, 100, 900]);
        let (fin, udp) = (self.one_of(&[5, 20, 120]), self.one_of(&[10, 30, 300]));
        self.ipvsadm(format!("--set {tcp} {fin} {udp}"));
    }

    fn reconfigure(&mut self) {
        let which = self.rng.usize(0..self.services.len());
        let service = self.services[which].clone();
        match self.rng.u32(0..20) {
            0 => {
                let options = self.options(&service);
                self.ipvsadm(format!("-E {}{options}", service.name));
                self.services[which].options = options;
            }
            1 => {
                // Gone, and made anew without its servers. The kernel forgets what it has not added up yet.
                self.count();
                self.ipvsadm(format!("-D {}", service.name));
                self.ipvsadm(format!("-A {}{}", service.name, service.options));
                let servers = &mut self.services[which].servers;
                servers.iter_mut().for_each(|server| {
                    server.is_in = false;
                    server.removed_at = None;
                });
            }
            2 => {
                // The kernel leaves what it has not added up yet.
                self.count();
                self.ipvsadm(format!("-Z {}", service.name));
            }
            3 | 4 => self.add_server(which),
            _ => self.change_server(which, &service),
        }
    }

    /// Takes a server out, puts it back in, or gives it another weight.
    fn change_server(&mut self, which: usize, service: &Service) {
        if service.servers.is_empty() {
            return;
        }
        let number = self.rng.usize(0..service.servers.len());
        let Server {
            name,
            method,
            is_in,
            removed_at,
        } = &service.servers[number];
        if removed_at.is_some_and(|at| self.seconds - at > REMEMBERED) {
            return;
        }
        let service = &service.name;
        let weight = self.weight();
        let goes = *is_in && self.rng.u32(0..3) == 0;
        if goes {
            self.count();
        }
        self.ipvsadm(match (is_in, goes) {
            (false, _) => format!("-a {service} -r {name} {method}{weight}"),
            (true, true) => format!("-d {service} -r {name}"),
            (true, false) => format!("-e {service} -r {name} {method}{weight}"),
        });
        let server = &mut self.services[which].servers[number];
        server.is_in = !goes;
        server.removed_at = goes.then_some(self.seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::parse;

    #[test]
    fn a_seed_makes_the_same_case_again() {
        assert_eq!(case(3), case(3));
        assert_ne!(case(3).steps, case(4).steps);
    }

    #[test]
    fn what_is_made_can_be_read_and_leaves_no_doubt() {
        for seed in 0..50 {
            let made = case(seed);
            let read = parse(&made.to_string()).unwrap();
            assert_eq!(read, std::slice::from_ref(&made));
            let mut world = World::native();
            world.play(&made);
            assert!(!world.is_doubtful, "{made}");
        }
    }

    #[test]
    fn both_hooks_do_the_same() {
        for seed in 0..50 {
            let made = case(seed);
            let (tc, xdp) = (World::native().play(&made), World::native_xdp().play(&made));
            assert_eq!(tc, xdp, "{made}");
        }
    }
}
