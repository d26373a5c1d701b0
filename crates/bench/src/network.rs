//! Packets per second from a client through the director to a real server, all on one processor.

use std::net::Ipv4Addr;
use std::time::Instant;

use aya::programs::{TcAttachType, XdpMode};
use control::interfaces::Interface;
use control::nexthops::{Hop, HopState};
use plane_bpf::Mode;

use crate::director::{Bench, Surroundings};
use crate::error::{Error, refused};
use crate::hosts::{CLIENT_MAC, DIRECTOR_MAC, DIRECTOR_SERVER_MAC, Host, Hosts, SERVER_MAC};
use crate::method::{Method, REAL, VIRTUAL};
use crate::object::Object;
use crate::pattern::{Clients, Kind, Pattern};
use crate::report::{Group, Row};

/// Frames of one run: a call's fixed costs of some ten milliseconds are small beside it.
const FRAMES: u32 = 1 << 21;
const FLOWS: u32 = 1024;
const XDP_TX: u32 = 3;
const MTU: u32 = 1500;

/// Measures the kernel's forwarding, nftables' DNAT, and the director on TC and XDP.
///
/// # Errors
/// When the kernel or a tool refuses, or no packet arrives.
pub fn measure(runs: usize) -> Result<Group, Error> {
    let hosts = Hosts::new()?;
    hosts.poll()?;
    let mut object = Object::load()?;
    let port = Host::Client.ifindex("c0")?;
    let mut line = Line {
        object: &mut object,
        port,
        runs,
    };
    let sink = Host::Server.within(|| {
        let program = line.object.classifier("xvs_sink_tc");
        program
            .attach("s0", TcAttachType::Ingress)
            .map_err(refused("the sink"))
    })?;

    let plain = line.rates("plain forwarding", REAL)?;
    hosts.dnat()?;
    let dnat = line.rates("nftables DNAT", VIRTUAL)?;
    hosts.no_dnat()?;

    let bench = Bench::new(surroundings()?, Method::NAT)?;
    attach(&bench, Mode::Tc)?;
    line.open()?;
    let tc = line.rates("xvs on TC", VIRTUAL)?;

    line.object
        .classifier("xvs_sink_tc")
        .detach(sink)
        .map_err(refused("the sink"))?;
    Host::Server.within(|| {
        let program = line.object.xdp("xvs_sink_xdp");
        program
            .attach("s0", XdpMode::Driver)
            .map(drop)
            .map_err(refused("the sink"))
    })?;
    attach(&bench, Mode::XdpNative)?;
    let xdp = line.rates("xvs on XDP", VIRTUAL)?;

    let reference = Row::of("", dnat.clone(), |median| median).median;
    let over = |median: f64| median / reference;
    let rows = vec![
        Row::of("plain forwarding by the kernel", plain, over),
        Row::of("nftables DNAT, connection tracking", dnat, over),
        Row::of("xvs VS/NAT on TC", tc, over),
        Row::of("xvs VS/NAT on XDP", xdp, over),
    ];
    let title = format!("Packets through the director, veth, one processor, {FLOWS} flows");
    let (unit, comparison) = ("million a second", "by that of nftables");
    Ok(Group::new(title, unit, comparison, rows))
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
struct Line<'a> {
    object: &'a mut Object,
    port: u32,
    runs: usize,
}

impl Line<'_> {
    /// Opens the connections.
    fn open(&mut self) -> Result<(), Error> {
        self.send(true, VIRTUAL, FLOWS).map(drop)
    }

    /// Millions of packets a second that arrived, for every run.
    fn rates(&mut self, case: &str, to: (Ipv4Addr, u16)) -> Result<Vec<f64>, Error> {
        // Connections, caches, and the sleeping thread of the softirqs.
        self.send(false, to, FRAMES / 16)?;
        (0..self.runs)
            .map(|_| {
                let before = self.object.seen()?;
                let seconds = self.send(false, to, FRAMES)?;
                let found = self.object.seen()? - before;
                if found < u64::from(FRAMES / 10) {
                    let (case, expected) = (case.to_owned(), u64::from(FRAMES));
                    return Err(Error::WentElsewhere {
                        case,
                        expected,
                        found,
                        others: String::new(),
                    });
                }
                Ok(found as f64 / seconds / 1e6)
            })
            .collect()
    }

    /// Sends frames and returns the time that it took, in seconds.
    fn send(&mut self, opens: bool, to: (Ipv4Addr, u16), number: u32) -> Result<f64, Error> {
        let (address, port) = to;
        let kind = Kind::FromClient { opens };
        let (destination_mac, flows, code) = (DIRECTOR_MAC, FLOWS, XDP_TX);
        self.object.write(&Pattern {
            kind,
            clients: Clients::Usual,
            address: address.into(),
            port,
            destination_mac,
            flows,
            code,
        })?;
        let (object, interface) = (&mut *self.object, self.port);
        Host::Client.within(|| {
            let begin = Instant::now();
            object.send(interface, number)?;
            Ok(begin.elapsed().as_secs_f64())
        })
    }
}
