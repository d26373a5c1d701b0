//! FULLNAT: nginx is told clients' addresses by the PROXY protocol.

use crate::support::{CLIENT, Director, Hook, Network, RS1, Said, VIP, WebServer};

/// The director's address that real servers see.
const LOCAL: &str = "192.168.100.20";
const LENGTH: usize = 8 << 20;

struct Told<'a> {
    network: &'a Network,
    server: WebServer,
    director: Director<'a>,
}

impl<'a> Told<'a> {
    fn new(network: &'a Network, hook: Hook) -> Self {
        let server = WebServer::start_told(&network.rs1);
        network
            .director
            .ip(&format!("address add {LOCAL}/32 dev eth1"));
        // The client is nobody that the real server could answer to.
        network.rs1.ip("route del default");
        let director = Director::start(network, hook);
        director.set(&format!("-A -t {VIP}:80 -s rr --client-address proxy"));
        let local = director.xvs(&format!("laddr add -t {VIP}:80 -z {LOCAL}"));
        assert_eq!(local.code, Some(0), "{}", local.err);
        director.set(&format!("-a -t {VIP}:80 -r {RS1}:80 --fullnat"));
        Self {
            network,
            server,
            director,
        }
    }

    fn curl(&self, words: &str) -> String {
        self.network
            .client
            .run(&format!("curl -sS --fail --max-time 60 {words}"))
    }

    /// Asks for the page with a certain port; it says the client's address and port.
    fn asks(&self, port: u16) {
        let page = self.curl(&format!(
            "--local-port {port} --interface {CLIENT} http://{VIP}/"
        ));
        assert_eq!(page.trim(), format!("{CLIENT} {port}"));
    }

    fn transfers(&self) {
        let sent: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
        let folder = tempfile::tempdir().unwrap();
        let (up, down) = (folder.path().join("up"), folder.path().join("down"));
        std::fs::write(&up, &sent).unwrap();
        let url = format!("http://{VIP}/files/body");
        self.curl(&format!("-T {} {url}", up.display()));
        let stored = std::fs::read(self.server.file("body")).unwrap();
        assert!(stored == sent, "{} bytes arrived, or others", stored.len());
        self.curl(&format!("-o {} {url}", down.display()));
        let received = std::fs::read(down).unwrap();
        assert!(received == sent, "{} came back, or others", received.len());
    }

    /// How often a reason was counted.
    fn counted(&self, reason: &str) -> u64 {
        let Said { out, .. } = self.director.xvs("status --json");
        let status: serde_json::Value = serde_json::from_str(&out).unwrap();
        let reasons = status["reasons"].as_array().unwrap();
        let found = reasons.iter().find(|entry| entry["name"] == reason);
        found.and_then(|entry| entry["count"].as_u64()).unwrap_or(0)
    }
}

fn tells(hook: Hook, prepare: impl FnOnce(&Network)) {
    let network = Network::new(hook);
    prepare(&network);
    let told = Told::new(&network, hook);
    for port in 50_001..50_011 {
        told.asks(port);
    }
    told.transfers();
    let clients = told.server.clients();
    assert_eq!(clients, vec![CLIENT; 12]);
}

#[test]
fn nginx_logs_the_true_client_on_tc() {
    tells(Hook::Tc, |_| {});
}

#[test]
fn nginx_logs_the_true_client_on_xdp() {
    tells(Hook::Xdp, |_| {});
}

#[test]
fn nginx_logs_the_true_client_where_no_packet_is_several_in_one() {
    tells(Hook::Tc, Network::packets_as_on_a_wire);
}

/// The header is in a packet of 80 bytes: IP 20, TCP with timestamps 32, the header itself 28.
#[test]
fn a_header_that_was_lost_is_told_again() {
    for hook in [Hook::Tc, Hook::Xdp] {
        let network = Network::new(hook);
        let told = Told::new(&network, hook);
        for line in [
            "add table ip lossy",
            "add chain ip lossy in { type filter hook input priority 0 ; }",
            "add rule ip lossy in tcp dport 80 meta length 80 limit rate 1/day burst 1 packets counter drop",
        ] {
            network.rs1.run(&format!("nft {line}"));
        }
        told.asks(50_001);
        let rules = network.rs1.run("nft list table ip lossy");
        assert!(rules.contains("counter packets 1 bytes 80"), "{rules}");
        assert!(told.counted("address_told") >= 2);
        told.transfers();
    }
}

/// Every fiftieth packet to the real server, and from it, is lost.
#[test]
fn streams_stay_whole_where_packets_are_lost() {
    let network = Network::new(Hook::Tc);
    network.packets_as_on_a_wire();
    let told = Told::new(&network, Hook::Tc);
    for hook in ["input", "output"] {
        for line in [
            format!("add table ip lossy{hook}"),
            format!("add chain ip lossy{hook} c {{ type filter hook {hook} priority 0 ; }}"),
            format!("add rule ip lossy{hook} c tcp flags & syn == 0 numgen inc mod 50 0 drop"),
        ] {
            network.rs1.run(&format!("nft {line}"));
        }
    }
    for port in 50_001..50_021 {
        told.asks(port);
    }
    told.transfers();
}
