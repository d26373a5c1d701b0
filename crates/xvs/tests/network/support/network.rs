//! The network of the tests: a client, the director, and two real servers behind it.

use super::namespace::Namespace;

/// The virtual service's address, the director's on the client's side.
pub const VIP: &str = "172.16.10.21";
/// The client's address; it has the next eight too.
pub const CLIENT: &str = "172.16.10.40";
/// The address of the first real server.
pub const RS1: &str = "192.168.100.39";
/// The address of the second real server.
pub const RS2: &str = "192.168.100.23";
/// The director's address on the servers' side: their gateway.
pub const INSIDE: &str = "192.168.100.17";

/// Where the director takes packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Tc,
    Xdp,
}

impl Hook {
    /// As an option of `xvs serve`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }
}

/// `client` and `director` on one segment, `director`, `rs1` and `rs2` on another.
#[derive(Debug)]
pub struct Network {
    pub client: Namespace,
    pub director: Namespace,
    pub rs1: Namespace,
    pub rs2: Namespace,
    switch: Namespace,
}

impl Network {
    /// Builds it. The director forwards nothing by itself, and checks sources strictly.
    pub fn new(hook: Hook) -> Self {
        let new = Namespace::new;
        let network = Self {
            client: new("client"),
            director: new("director"),
            rs1: new("rs1"),
            rs2: new("rs2"),
            switch: new("switch"),
        };
        network.settings();
        network.cables();
        network.addresses();
        if hook == Hook::Xdp {
            network.finish_packets_at_their_source();
        }
        network
    }

    fn settings(&self) {
        for host in [
            &self.client,
            &self.director,
            &self.rs1,
            &self.rs2,
            &self.switch,
        ] {
            host.run(
                "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
            );
        }
        self.director.run(
            "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=1 \
             net.ipv4.conf.default.rp_filter=1",
        );
    }

    /// Every interface: its host, its name, its port's name, its segment, and its MAC address.
    fn plugs(&self) -> [(&Namespace, &str, &str, &str, &str); 5] {
        [
            (
                &self.client,
                "eth0",
                "client",
                "outside",
                "02:00:00:00:00:40",
            ),
            (
                &self.director,
                "eth0",
                "director-0",
                "outside",
                "02:00:00:00:00:21",
            ),
            (
                &self.director,
                "eth1",
                "director-1",
                "inside",
                "02:00:00:00:01:17",
            ),
            (&self.rs1, "eth0", "rs1", "inside", "02:00:00:00:01:39"),
            (&self.rs2, "eth0", "rs2", "inside", "02:00:00:00:01:23"),
        ]
    }

    fn cables(&self) {
        for segment in ["outside", "inside"] {
            self.switch
                .ip(&format!("link add {segment} type bridge forward_delay 0"));
            self.switch.ip(&format!("link set {segment} up"));
        }
        for (host, interface, port, segment, mac) in self.plugs() {
            let switch = self.switch.name();
            host.ip(&format!(
                "link add {interface} address {mac} type veth peer name {port} netns {switch}"
            ));
            self.switch
                .ip(&format!("link set {port} master {segment} up"));
            host.ip(&format!("link set {interface} up"));
        }
    }

    fn addresses(&self) {
        for last in 40..=48 {
            self.client
                .ip(&format!("address add 172.16.10.{last}/24 dev eth0"));
        }
        self.director.ip(&format!("address add {VIP}/24 dev eth0"));
        self.director.ip("address add 172.16.10.22/24 dev eth0");
        self.director
            .ip(&format!("address add {INSIDE}/24 dev eth1"));
        for (server, address) in [(&self.rs1, RS1), (&self.rs2, RS2)] {
            server.ip(&format!("address add {address}/24 dev eth0"));
            server.ip(&format!("route add default via {INSIDE}"));
        }
    }

    /// XDP on a virtual cable forwards frames as they are: a checksum left to hardware that is not
    /// there stays wrong, and a frame reaches a peer only if that peer polls, which GRO makes it do.
    fn finish_packets_at_their_source(&self) {
        for (host, interface, port, ..) in self.plugs() {
            host.run(&format!("ethtool -K {interface} tx off gro on"));
            self.switch.run(&format!("ethtool -K {port} tx off gro on"));
        }
    }

    /// Lets the links of a segment carry packets of so many bytes.
    pub fn set_mtu(&self, segment: &str, bytes: u32) {
        for (host, interface, port, of, _) in self.plugs() {
            if of == segment {
                host.ip(&format!("link set {interface} mtu {bytes}"));
                self.switch.ip(&format!("link set {port} mtu {bytes}"));
            }
        }
    }

    /// No host puts segments together or leaves them to be cut: every packet is as on a wire.
    pub fn packets_as_on_a_wire(&self) {
        for (host, interface, ..) in self.plugs() {
            host.run(&format!("ethtool -K {interface} tx off tso off gso off"));
        }
    }
}
