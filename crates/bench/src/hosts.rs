//! Three hosts in a row, out of network namespaces: client, director, real server.

use std::fs::{self, File};
use std::io;
use std::process::{self, Command};
use std::thread;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};

use crate::error::{Error, refused};

/// MAC of the director's interface towards clients.
pub const DIRECTOR_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];
/// MAC of the director's interface towards the real server.
pub const DIRECTOR_SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 2, 2];
/// MAC of the client.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
/// MAC of the real server.
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 2, 1];

/// Queues of every interface, by which two processors can work on one.
const QUEUES: &str = "numtxqueues 2 numrxqueues 2";

/// The hosts; they end with this.
pub struct Hosts;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub enum Host {
    /// Sends through `c0`.
    Client,
    /// Between `d0` and `d1`.
    Director,
    /// Receives by `s0`.
    Server,
}

impl Host {
    fn name(self) -> String {
        format!(
            "xvs-bench{}-{}",
            process::id(),
            format!("{self:?}").to_lowercase()
        )
    }

    /// Does `work` in a thread inside the host.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` fails.
    pub fn within<T: Send>(
        self,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                let enter = || -> io::Result<()> {
                    let file = File::open(format!("/run/netns/{}", self.name()))?;
                    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
                };
                enter().map_err(refused("a namespace cannot be entered"))?;
                work()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Index of an interface of this host.
    ///
    /// # Errors
    /// When there is none.
    pub fn ifindex(self, name: &'static str) -> Result<u32, Error> {
        self.within(|| if_nametoindex(name).map_err(refused(name)))
    }

    /// Runs a command in the host; words are split at spaces.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(self, line: &str) -> Result<(), Error> {
        self.within(|| run(line))
    }

    fn set(self, key: &str, value: &str) -> Result<(), Error> {
        self.within(|| fs::write(format!("/proc/sys/net/{key}"), value).map_err(refused(key)))
    }
}

impl Hosts {
    /// Makes them.
    ///
    /// # Errors
    /// When the kernel or a tool refuses; nothing is left then.
    pub fn new() -> Result<Self, Error> {
        let hosts = Self;
        let [client, director, server] =
            [Host::Client, Host::Director, Host::Server].map(Host::name);
        for host in [&client, &director, &server] {
            run(&format!("ip netns add {host}"))?;
        }
        let cables = [("c0", &client, 1, "d0"), ("s0", &server, 2, "d1")];
        for (end, host, cable, port) in cables {
            run(&format!(
                "ip link add {end} netns {host} address 02:00:00:00:0{cable}:01 {QUEUES} type veth \
                 peer name {port} netns {director} address 02:00:00:00:0{cable}:02 {QUEUES}"
            ))?;
        }
        for (host, interface) in [
            (Host::Client, "c0"),
            (Host::Director, "d0"),
            (Host::Director, "d1"),
            (Host::Server, "s0"),
        ] {
            host.set("ipv6/conf/all/disable_ipv6", "1")?;
            host.run(&format!("ip link set {interface} up"))?;
        }
        hosts.route()?;
        Ok(hosts)
    }

    /// Lets frames from XDP in: they reach a veth only if it polls, which GRO makes it do.
    ///
    /// # Errors
    /// When ethtool refuses.
    pub fn poll(&self) -> Result<(), Error> {
        for (host, interface) in [
            (Host::Client, "c0"),
            (Host::Director, "d0"),
            (Host::Director, "d1"),
            (Host::Server, "s0"),
        ] {
            host.run(&format!("ethtool -K {interface} gro on"))?;
        }
        Ok(())
    }

    /// Gives client and server addresses, and the director as their gateway.
    ///
    /// # Errors
    /// When a tool refuses.
    pub fn stacks(&self) -> Result<(), Error> {
        for (host, interface, network) in [(Host::Client, "c0", 0), (Host::Server, "s0", 1)] {
            host.run(&format!(
                "ip address add 198.18.{network}.2/24 dev {interface}"
            ))?;
            host.run(&format!("ip route add default via 198.18.{network}.1"))?;
        }
        Ok(())
    }

    /// The director as a router, with neighbours that need no asking.
    fn route(&self) -> Result<(), Error> {
        let director = Host::Director;
        for line in [
            "ip address add 198.18.0.1/24 dev d0",
            "ip address add 198.18.1.1/24 dev d1",
            "ip neighbour replace 198.18.0.2 lladdr 02:00:00:00:01:01 dev d0",
            "ip neighbour replace 198.18.1.2 lladdr 02:00:00:00:02:01 dev d1",
            "ip route add 10.64.0.0/15 via 198.18.0.2",
        ] {
            director.run(line)?;
        }
        director.set("ipv4/ip_forward", "1")?;
        director.set("ipv4/conf/all/rp_filter", "0")?;
        director.set("ipv4/conf/d0/rp_filter", "0")
    }

    /// DNAT in the director, by nftables and connection tracking.
    ///
    /// # Errors
    /// When nftables refuses.
    pub fn dnat(&self) -> Result<(), Error> {
        let director = Host::Director;
        for line in [
            "nft add table ip bench",
            "nft add chain ip bench before { type nat hook prerouting priority dstnat ; }",
            "nft add rule ip bench before ip daddr 198.18.0.1 tcp dport 80 dnat to 198.18.1.2:8080",
        ] {
            director.run(line)?;
        }
        // The segments that are sent have neither checksums nor sequence numbers.
        director.set("netfilter/nf_conntrack_checksum", "0")?;
        director.set("netfilter/nf_conntrack_tcp_be_liberal", "1")
    }

    /// The director without it.
    ///
    /// # Errors
    /// When nftables refuses.
    pub fn no_dnat(&self) -> Result<(), Error> {
        Host::Director.run("nft delete table ip bench")
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in [Host::Client, Host::Director, Host::Server] {
            // One that was never made cannot be removed, and need not be.
            let _ = run(&format!("ip netns delete {}", host.name()));
        }
    }
}

/// A command; words are split at spaces.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn run(line: &str) -> Result<(), Error> {
    let output = command(line).output().map_err(refused(line))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Command {
        command: line.to_owned(),
        message,
    })
}
