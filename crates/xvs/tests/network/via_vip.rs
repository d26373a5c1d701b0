//! `check_via_vip`: a real server of DR or TUN without its virtual address is found dead.

use std::process::Stdio;

use crate::keepalived_conf::File;
use crate::support::{
    Director, Hook, Network, Process, RS1, RS2, SOON, VIP, WebServer, XVS, eventually,
};

/// The addresses of one family.
struct Addresses {
    virtual_address: &'static str,
    host_length: u8,
    /// Of the real server that has the virtual address, and of the one that has not.
    real: [&'static str; 2],
}

const V4: Addresses = Addresses {
    virtual_address: VIP,
    host_length: 32,
    real: [RS1, RS2],
};

const V6: Addresses = Addresses {
    virtual_address: "2001:db8:10::21",
    host_length: 128,
    real: ["2001:db8:100::39", "2001:db8:100::23"],
};

/// Gives IPv6 to the hosts behind the director, which have IPv4 only.
fn add_ipv6(network: &Network) {
    let hosts = [
        (&network.director, "2001:db8:100::17/64"),
        (&network.rs1, "2001:db8:100::39/64"),
        (&network.rs2, "2001:db8:100::23/64"),
    ];
    for (host, address) in hosts {
        host.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
        let interface = if address.contains("::17") {
            "eth1"
        } else {
            "eth0"
        };
        host.ip(&format!("address add {address} dev {interface} nodad"));
    }
    let virtual_address = V6.virtual_address;
    network
        .director
        .ip(&format!("address add {virtual_address}/64 dev eth0 nodad"));
}

impl Addresses {
    /// A service by DR or TUN whose real servers answer by their own addresses.
    fn configuration(&self, method: &str) -> String {
        let server = |address: &str| {
            format!(
                "real_server {address} 80 {{
                    TCP_CHECK {{
                        connect_timeout 1
                    }}
                }}"
            )
        };
        format!(
            "virtual_server {} 80 {{
                delay_loop 0.5
                retry 1
                delay_before_retry 0.2
                connect_timeout 1
                lb_kind {method}
                protocol TCP
                check_via_vip
                {} {}
            }}",
            self.virtual_address,
            server(self.real[0]),
            server(self.real[1])
        )
    }

    /// Whether the real servers are up, as `xvs health' says, and what it says.
    fn health(&self, director: &Director<'_>) -> ([bool; 2], String) {
        let text = director.xvs("health").out;
        let is_up = |server: &str| {
            let line = text.lines().find(|line| line.contains(server));
            line.is_some_and(|line| line.contains(" up "))
        };
        (self.real.map(is_up), text.clone())
    }

    /// One real server has the virtual address, and then it has not.
    fn walk(&self, network: &Network, methods: &[&str]) {
        let (address, length) = (self.virtual_address, self.host_length);
        let own = format!("{address}/{length} dev lo");
        let _servers = [
            WebServer::start(&network.rs1, "rs1"),
            WebServer::start(&network.rs2, "rs2"),
        ];
        network.rs1.ip(&format!("address add {own}"));
        // Both open tunnels, for whichever addresses they have.
        let _tunnels = [&network.rs1, &network.rs2].map(|host| {
            let mut command = host.command(XVS);
            command.args(["realserver", "--vip", address, "--interface", "eth0"]);
            Process::start(command.stderr(Stdio::null()))
        });
        let file = File::new(&self.configuration(methods[0]));
        let director = file.start(network);
        for method in methods {
            file.write(&self.configuration(method));
            let reload = director.xvs("reload");
            assert_eq!(reload.code, Some(0), "{}", reload.err);
            let text = eventually(method, SOON, || {
                let (up, text) = self.health(&director);
                let is_known = !text.contains("not run yet");
                (up == [true, false] && is_known).then_some(text)
            });
            assert!(text.contains("check_via_vip"), "{text}");
            // They answer by their own addresses all the while.
            let own = |line: &&str| line.contains("TCP_CHECK") && line.contains(" up ");
            assert_eq!(text.lines().filter(own).count(), 2, "{text}");
        }
        network.rs1.ip(&format!("address del {own}"));
        eventually("the other one loses it too", SOON, || {
            (self.health(&director).0 == [false, false]).then_some(())
        });
    }
}

const METHODS: [&str; 4] = ["DR", "TUN", "TUN type gue port 6080", "TUN type gre"];

#[test]
fn a_server_without_its_virtual_address_is_found_dead_on_the_way_of_clients_packets() {
    V4.walk(&Network::new(Hook::Tc), &METHODS);
}

#[test]
fn a_server_without_its_virtual_address_is_found_dead_over_ipv6_too() {
    let network = Network::new(Hook::Tc);
    add_ipv6(&network);
    V6.walk(&network, &METHODS);
}
