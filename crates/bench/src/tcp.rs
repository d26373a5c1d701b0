//! What one TCP stream gets through the director (iperf3), all on one processor.

use std::net::Ipv4Addr;
use std::process::{Child, Stdio};

use plane_bpf::Mode;
use serde::Deserialize;

use crate::director::Bench;
use crate::error::{Error, refused};
use crate::hosts::{Host, Hosts, command};
use crate::method::{Method, REAL, VIRTUAL};
use crate::network;
use crate::object::Object;
use crate::report::{Group, Row};

/// How long one stream lasts.
const SECONDS: u32 = 2;

/// Measures the kernel's forwarding, nftables' DNAT, DNAT by constants, and the director on TC, in
/// turns: what else the machine does then meets all of them alike.
///
/// # Errors
/// When the kernel or a tool refuses, or iperf3 gets no answer.
pub fn measure(runs: usize) -> Result<Group, Error> {
    let hosts = Hosts::new()?;
    hosts.stacks()?;
    let _server = Server::start()?;
    let bench = Bench::new(network::surroundings()?, Method::NAT)?;
    let mut object = Object::load()?;
    object.set_ways(network::ways()?)?;
    let [mut plain, mut dnat, mut fixed, mut director] = [const { Vec::new() }; 4];
    for _ in 0..runs {
        plain.push(gigabits(REAL)?);

        hosts.dnat()?;
        let rate = gigabits(VIRTUAL);
        hosts.no_dnat()?;
        dnat.push(rate?);

        fixed.push(by_constants(&mut object)?);

        network::attach(&bench, Mode::Tc)?;
        let rate = gigabits(VIRTUAL);
        network::detach(&bench)?;
        director.push(rate?);
    }
    let title = "One TCP stream through the director, veth, one processor, offloads as they are";
    let rows = vec![
        Row::beside("plain forwarding by the kernel", plain, &fixed),
        Row::beside("nftables DNAT, connection tracking", dnat, &fixed),
        Row::beside("xvs VS/NAT on TC", director, &fixed).with_goal(0.95),
        Row::beside("DNAT by constants, tc-BPF", fixed.clone(), &fixed),
    ];
    Ok(Group::new(
        title,
        "Gbit/s",
        "by DNAT by constants, round by round",
        rows,
    ))
}

fn by_constants(object: &mut Object) -> Result<f64, Error> {
    const PROGRAM: &str = "xvs_static_tc";
    let links = ["d0", "d1"]
        .map(|interface| network::attach_tc(object, Host::Director, PROGRAM, interface));
    let rate = gigabits(VIRTUAL);
    for link in links {
        network::detach_tc(object, PROGRAM, link?)?;
    }
    rate
}

/// iperf3 at the real server. It ends with this.
pub struct Server(Child);

impl Server {
    /// Starts it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn start() -> Result<Self, Error> {
        let (address, port) = REAL;
        let line = format!("iperf3 --server --bind {address} --port {port}");
        let child = Host::Server.within(|| {
            let mut command = command(&line);
            command.stdout(Stdio::null()).spawn().map_err(refused(line))
        })?;
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// As `iperf3 --json` prints it, as far as it is needed.
#[derive(Deserialize)]
struct Said {
    error: Option<String>,
    end: End,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct End {
    sum_received: Sum,
}

#[derive(Default, Deserialize)]
struct Sum {
    bits_per_second: f64,
}

/// What one stream to this address and port gets.
///
/// # Errors
/// When iperf3 gets no answer.
pub fn gigabits((address, port): (Ipv4Addr, u16)) -> Result<f64, Error> {
    // The server may still be starting, or at the end of the stream before.
    let line = format!(
        "iperf3 --client {address} --port {port} --time {SECONDS} --connect-timeout 3000 --json"
    );
    let mut failure = String::new();
    for _ in 0..3 {
        let output = Host::Client.within(|| command(&line).output().map_err(refused(&line)))?;
        let said: Said = serde_json::from_slice(&output.stdout).map_err(refused(&line))?;
        match said.error {
            None => return Ok(said.end.sum_received.bits_per_second / 1e9),
            Some(message) => failure = message,
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    Err(Error::Command {
        command: line,
        message: failure,
    })
}
