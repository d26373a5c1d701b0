//! Packets per second from a client through the director to a real server.

use std::thread;
use std::time::Instant;

use aya::programs::{TcAttachType, XdpMode};
use control::interfaces::Interface;
use control::nexthops::{Hop, HopState};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use plane_bpf::Mode;

use crate::director::{Bench, Surroundings};
use crate::error::{Error, refused};
use crate::hosts::{CLIENT_MAC, DIRECTOR_MAC, DIRECTOR_SERVER_MAC, Host, Hosts, SERVER_MAC};
use crate::method::{Method, REAL, VIRTUAL};
use crate::object::{Object, Way};
use crate::pattern::{ANY_MAC, Clients, Kind, Pattern, Spread};
use crate::plot::THROUGH;
use crate::report::{Group, Row, median};

/// Frames of one run: a call's fixed costs of some ten milliseconds are small beside it.
const FRAMES: u32 = 1 << 21;
/// Frames of one run, each of which opens a connection.
const NEW_FRAMES: u32 = 1 << 20;
const FLOWS: u32 = 1024;
/// Other numbers of flows, for the comparison by them.
const FEWER_AND_MORE: [u32; 2] = [1, 1 << 16];
const XDP_TX: u32 = 3;
const MTU: u32 = 1500;
/// Below this share of its frames a run has measured something else.
const LEAST: f64 = 0.1;

/// Measures the kernel's forwarding, nftables' DNAT, and the simplest programs that could do the
/// same, and the director on TC and XDP; and the latter on two processors.
///
/// # Errors
/// When the kernel or a tool refuses, or no packet arrives.
pub fn measure(runs: usize) -> Result<Vec<Group>, Error> {
    let hosts = Hosts::new()?;
    hosts.poll()?;
    let mut line = Line {
        objects: [Object::load()?, Object::load()?],
        port: Host::Client.ifindex("c0")?,
        runs,
    };
    line.objects[0].set_ways(ways()?)?;
    let bench = Bench::new(surroundings()?, Method::NAT)?;
    let slow = line.on_tc(&hosts, &bench)?;
    let (fast, many) = line.on_xdp(bench)?;

    let reference = median(&slow.dnat.usual);
    let over = |median: f64| median / reference;
    let new_reference = median(&slow.dnat_new);
    let over_new = |median: f64| median / new_reference;
    let flows = by_flows([
        ("nftables DNAT", &slow.dnat),
        ("plain forwarding", &slow.plain),
        ("xvs VS/NAT on TC", &slow.director),
        ("xvs VS/NAT on XDP", &fast.director),
    ]);
    let rows = vec![
        Row::of("plain forwarding by the kernel", slow.plain.usual, over),
        Row::of("nftables DNAT, connection tracking", slow.dnat.usual, over),
        Row::of("DNAT by constants, tc-BPF", slow.fixed, over),
        Row::of("xvs VS/NAT on TC", slow.director.usual, over).with_goal(0.95 / 0.68),
        Row::of("redirection alone, XDP", fast.redirect, over),
        Row::of("xvs VS/NAT on XDP", fast.director.usual, over).with_goal(3.8 / 0.68),
    ];
    let new = vec![
        Row::of("nftables DNAT", slow.dnat_new, over_new),
        Row::of("xvs VS/NAT on XDP", fast.director_new, over_new).with_goal(2.3 / 0.227),
    ];
    let (unit, by) = ("million a second", "by that of nftables");
    let title = format!("{THROUGH}, one processor");
    Ok(vec![
        Group::new(format!("{title}, {FLOWS} flows"), unit, by, rows),
        Group::new(format!("{title}, each a new connection"), unit, by, new),
        Group::new(format!("{title}, by number of flows"), unit, by, flows),
        many,
    ])
}

/// Millions of packets a second, for every run.
type Rates = Vec<f64>;

/// The same by the number of flows.
struct ByFlows {
    /// With [`FLOWS`].
    usual: Rates,
    /// With [`FEWER_AND_MORE`].
    others: [Rates; 2],
}

struct OnTc {
    plain: ByFlows,
    dnat: ByFlows,
    dnat_new: Rates,
    fixed: Rates,
    director: ByFlows,
}

struct OnXdp {
    redirect: Rates,
    director: ByFlows,
    director_new: Rates,
}

/// A row for everybody and number of flows, beside the first one's with as many.
fn by_flows<const N: usize>(all: [(&str, &ByFlows); N]) -> Vec<Row> {
    let [fewer, more] = FEWER_AND_MORE;
    let in_order = |found: &ByFlows| {
        let [few, many] = found.others.clone();
        [(fewer, few), (FLOWS, found.usual.clone()), (more, many)]
    };
    let references = in_order(all[0].1);
    let rows = all.into_iter().flat_map(|(name, found)| {
        let found = in_order(found).into_iter().zip(&references);
        found.map(move |((flows, rates), (_, reference))| {
            let case = format!("{name}: known connection, {flows} flows");
            Row::beside(case, rates, reference)
        })
    });
    rows.collect()
}

/// What the director knows of these hosts.
///
/// # Errors
/// When they are not there.
pub fn surroundings() -> Result<Surroundings, Error> {
    let interface = |name, mac| -> Result<Interface, Error> {
        let ifindex = Host::Director.ifindex(name)?;
        Ok(Interface {
            ifindex,
            xdp: true,
            mac: Some(mac),
            address: None,
            address_v6: None,
            mtu: MTU,
        })
    };
    let clients = interface("d0", DIRECTOR_MAC)?;
    let servers = interface("d1", DIRECTOR_SERVER_MAC)?;
    let hop = |ifindex, destination_mac, source_mac| Hop {
        state: HopState::Resolved,
        ifindex,
        mtu: MTU,
        vlan: 0,
        destination_mac,
        source_mac,
    };
    Ok(Surroundings {
        clients,
        servers,
        to_clients: hop(clients.ifindex, CLIENT_MAC, DIRECTOR_MAC),
        to_servers: hop(servers.ifindex, SERVER_MAC, DIRECTOR_SERVER_MAC),
    })
}

/// What a director by constants does: towards the real server, and towards the client.
///
/// # Errors
/// When the interfaces are not there.
pub fn ways() -> Result<[Way; 2], Error> {
    let to_server = Way {
        ifindex: Host::Director.ifindex("d1")?,
        from: VIRTUAL,
        to: REAL,
        macs: [SERVER_MAC, DIRECTOR_SERVER_MAC],
    };
    let to_client = Way {
        ifindex: Host::Director.ifindex("d0")?,
        from: REAL,
        to: VIRTUAL,
        macs: [CLIENT_MAC, DIRECTOR_MAC],
    };
    Ok([to_server, to_client])
}

/// Takes packets on both of the director's interfaces.
///
/// # Errors
/// When the kernel refuses.
pub fn attach(bench: &Bench, mode: Mode) -> Result<(), Error> {
    let plane = bench.plane();
    for name in ["d0", "d1"] {
        let ifindex = Host::Director.ifindex(name)?;
        Host::Director.within(|| plane.attach(ifindex, mode).map_err(refused(name)))?;
    }
    Ok(())
}

/// Leaves both interfaces.
///
/// # Errors
/// When the kernel refuses.
pub fn detach(bench: &Bench) -> Result<(), Error> {
    for name in ["d0", "d1"] {
        let ifindex = Host::Director.ifindex(name)?;
        Host::Director.within(|| bench.plane().detach(ifindex).map_err(refused(name)))?;
    }
    Ok(())
}

/// The client's end and the counting sink.
struct Line {
    /// The second one sends on the second processor; the first one has the sink.
    objects: [Object; 2],
    port: u32,
    runs: usize,
}

/// Frames that a client sends.
#[derive(Clone, Copy)]
struct Load {
    opens: bool,
    to: (std::net::Ipv4Addr, u16),
    flows: u32,
    frames: u32,
}

impl Load {
    /// Packets of a few known connections.
    const fn known(to: (std::net::Ipv4Addr, u16)) -> Self {
        Self::of_flows(to, FLOWS)
    }

    /// Packets of known connections.
    const fn of_flows(to: (std::net::Ipv4Addr, u16), flows: u32) -> Self {
        Self {
            opens: false,
            to,
            flows,
            frames: FRAMES,
        }
    }

    /// Packets each of which opens a connection.
    const NEW: Self = Self {
        opens: true,
        to: VIRTUAL,
        flows: NEW_FRAMES,
        frames: NEW_FRAMES,
    };

    fn pattern(self, clients: Clients) -> Pattern {
        let (address, port) = self.to;
        Pattern {
            kind: Kind::FromClient { opens: self.opens },
            clients,
            address: address.into(),
            port,
            destination_mac: DIRECTOR_MAC,
            source_mac: ANY_MAC,
            first: 0,
            flows: self.flows,
            spread: Spread::CLIENTS,
            code: XDP_TX,
        }
    }
}

impl Line {
    /// What is counted on TC.
    fn on_tc(&mut self, hosts: &Hosts, bench: &Bench) -> Result<OnTc, Error> {
        let sink = attach_tc(&mut self.objects[0], Host::Server, "xvs_sink_tc", "s0")?;
        let plain = self.by_flows("plain forwarding", REAL)?;
        hosts.dnat()?;
        let dnat = self.by_flows("nftables DNAT", VIRTUAL)?;
        let dnat_new = self.rates("nftables DNAT, new connections", Load::NEW, || ())?;
        hosts.no_dnat()?;

        let fixed = attach_tc(&mut self.objects[0], Host::Director, "xvs_static_tc", "d0")?;
        let by_constants = self.rates("DNAT by constants", Load::known(VIRTUAL), || ())?;
        detach_tc(&mut self.objects[0], "xvs_static_tc", fixed)?;

        attach(bench, Mode::Tc)?;
        self.open(Clients::Usual, FEWER_AND_MORE[1])?;
        let director = self.by_flows("xvs on TC", VIRTUAL)?;
        detach(bench)?;
        detach_tc(&mut self.objects[0], "xvs_sink_tc", sink)?;
        Ok(OnTc {
            plain,
            dnat,
            dnat_new,
            fixed: by_constants,
            director,
        })
    }

    /// What is counted on XDP, and the comparison of two processors with one.
    fn on_xdp(&mut self, mut bench: Bench) -> Result<(OnXdp, Group), Error> {
        attach_xdp(&mut self.objects[0], Host::Server, "xvs_sink_xdp", "s0")?;
        let link = attach_xdp(
            &mut self.objects[0],
            Host::Director,
            "xvs_redirect_xdp",
            "d0",
        )?;
        let redirect = self.rates("redirection", Load::known(VIRTUAL), || ())?;
        let redirect_twice = self.rates_of_two("redirection")?;
        let program = self.objects[0].xdp("xvs_redirect_xdp");
        program.detach(link).map_err(refused("xvs_redirect_xdp"))?;

        attach(&bench, Mode::XdpNative)?;
        self.open(Clients::Usual, FEWER_AND_MORE[1])?;
        self.open(Clients::Strangers, FLOWS)?;
        let director = self.by_flows("xvs on XDP", VIRTUAL)?;
        let director_twice = self.rates_of_two("xvs on XDP")?;
        let forget = || bench.forget_connections();
        let director_new = self.rates("xvs on XDP, new connections", Load::NEW, forget)?;

        let of_one = [median(&redirect), median(&director.usual)];
        let rows = vec![
            Row::of("redirection alone", redirect_twice, |two| two / of_one[0]),
            Row::of("xvs VS/NAT", director_twice, |two| two / of_one[1]),
        ];
        let goal = rows[0].compared * 0.95;
        let [redirection, nat]: [Row; 2] = rows.try_into().expect("two rows were listed");
        let title = format!("{THROUGH}, XDP, two processors, {FLOWS} flows each");
        let rows = vec![redirection, nat.with_goal(Some(goal))];
        let many = Group::new(title, "million a second", "by that of one processor", rows);
        let found = OnXdp {
            redirect,
            director,
            director_new,
        };
        Ok((found, many))
    }

    /// Opens connections.
    fn open(&mut self, clients: Clients, flows: u32) -> Result<(), Error> {
        let load = Load {
            opens: true,
            frames: flows,
            ..Load::of_flows(VIRTUAL, flows)
        };
        send(
            &mut self.objects[0],
            self.port,
            load.pattern(clients),
            load.frames,
        )
        .map(drop)
    }

    /// What arrives of few flows' packets, and of more.
    fn by_flows(&mut self, case: &str, to: (std::net::Ipv4Addr, u16)) -> Result<ByFlows, Error> {
        let mut rates = |flows| self.rates(case, Load::of_flows(to, flows), || ());
        let [fewer, more] = FEWER_AND_MORE;
        Ok(ByFlows {
            others: [rates(fewer)?, rates(more)?],
            usual: rates(FLOWS)?,
        })
    }

    /// Millions of packets a second that arrived, for every run, each after a preparation.
    fn rates(
        &mut self,
        case: &str,
        load: Load,
        mut prepare: impl FnMut(),
    ) -> Result<Vec<f64>, Error> {
        let pattern = load.pattern(Clients::Usual);
        // Connections, caches, and the sleeping thread of the softirqs.
        send(&mut self.objects[0], self.port, pattern, load.frames / 16)?;
        (0..self.runs)
            .map(|_| {
                prepare();
                let before = self.objects[0].seen()?;
                let seconds = send(&mut self.objects[0], self.port, pattern, load.frames)?;
                let found = self.objects[0].seen()? - before;
                rate(case, load.frames, found, seconds)
            })
            .collect()
    }

    /// The same while both processors send, each packets of its own clients.
    fn rates_of_two(&mut self, case: &str) -> Result<Vec<f64>, Error> {
        let (load, port) = (Load::known(VIRTUAL), self.port);
        (0..self.runs)
            .map(|_| {
                let before = self.objects[0].seen()?;
                let seconds = thread::scope(|scope| {
                    let senders = self
                        .objects
                        .iter_mut()
                        .zip([Clients::Usual, Clients::Strangers]);
                    let senders: Vec<_> = senders
                        .enumerate()
                        .map(|(processor, (object, clients))| {
                            scope.spawn(move || {
                                stay_on(processor)?;
                                send(object, port, load.pattern(clients), load.frames)
                            })
                        })
                        .collect();
                    let ended = senders.into_iter().map(|sender| {
                        let result = sender.join();
                        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    });
                    // All are waited for, then the slowest counts.
                    let ended: Vec<_> = ended.collect();
                    ended
                        .into_iter()
                        .try_fold(0.0_f64, |most, seconds| Ok(most.max(seconds?)))
                })?;
                let found = self.objects[0].seen()? - before;
                rate(case, 2 * load.frames, found, seconds)
            })
            .collect()
    }
}

/// Millions a second, if enough frames have arrived.
fn rate(case: &str, frames: u32, found: u64, seconds: f64) -> Result<f64, Error> {
    if (found as f64) < f64::from(frames) * LEAST {
        return Err(Error::WentElsewhere {
            case: case.to_owned(),
            expected: frames.into(),
            found,
            others: String::new(),
        });
    }
    Ok(found as f64 / seconds / 1e6)
}

/// Keeps this thread, and those that it starts, on a processor: moving to another one in the middle
/// of a measurement would cost its caches.
///
/// # Errors
/// When there is no such processor.
pub fn stay_on(processor: usize) -> Result<(), Error> {
    let mut processors = CpuSet::new();
    let set = processors.set(processor);
    set.and_then(|()| sched_setaffinity(Pid::from_raw(0), &processors))
        .map_err(refused(format!("processor {processor} cannot be chosen")))
}

/// Sends frames from the client, and returns the time that it took, in seconds.
///
/// # Errors
/// When the kernel refuses.
pub fn send(object: &mut Object, port: u32, pattern: Pattern, frames: u32) -> Result<f64, Error> {
    object.write(&pattern)?;
    Host::Client.within(|| {
        let begin = Instant::now();
        object.send(port, frames)?;
        Ok(begin.elapsed().as_secs_f64())
    })
}

type TcLink = aya::programs::tc::SchedClassifierLinkId;
type XdpLink = aya::programs::xdp::XdpLinkId;

/// Attaches a TC program of the benchmark's to what a host's interface receives.
///
/// # Errors
/// When the kernel refuses.
pub fn attach_tc(
    object: &mut Object,
    host: Host,
    program: &'static str,
    interface: &'static str,
) -> Result<TcLink, Error> {
    host.within(|| {
        let attached = object
            .classifier(program)
            .attach(interface, TcAttachType::Ingress);
        attached.map_err(refused(program))
    })
}

/// Takes it off again.
///
/// # Errors
/// When the kernel refuses.
pub fn detach_tc(object: &mut Object, program: &'static str, link: TcLink) -> Result<(), Error> {
    object
        .classifier(program)
        .detach(link)
        .map_err(refused(program))
}

fn attach_xdp(
    object: &mut Object,
    host: Host,
    program: &'static str,
    interface: &'static str,
) -> Result<XdpLink, Error> {
    host.within(|| {
        let attached = object.xdp(program).attach(interface, XdpMode::Driver);
        attached.map_err(refused(program))
    })
}
