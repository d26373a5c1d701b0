//! The way to a real server changes while traffic runs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::{
    CLIENT, Director, Hook, Network, RS1, SOON, VIP, WebServer, connect, eventually, get,
};

/// Long enough for the daemon to follow a change of the network.
const FOLLOWED: Duration = Duration::from_secs(1);

/// A network with one real server, and its director.
fn one_server(network: &Network, hook: Hook) -> (WebServer, Director<'_>) {
    let server = WebServer::start(&network.rs1, "rs1");
    let director = Director::start(network, hook);
    director.set(&format!("-A -t {VIP}:80 -s rr"));
    director.set(&format!("-a -t {VIP}:80 -r {RS1}:80 -m"));
    (server, director)
}

/// Asks until there is an answer, each time from another port. Returns the next port.
fn answered_again(network: &Network, mut port: u16) -> u16 {
    network.client.within(|| {
        eventually("the server answers again", SOON, || {
            port += 1;
            get(port).ok()
        })
    });
    port + 1
}

#[test]
fn a_real_server_that_announces_another_mac_address_is_found_at_once() {
    let network = Network::new(Hook::Tc);
    let (_server, _director) = one_server(&network, Hook::Tc);
    network.client.within(|| get(10_000)).unwrap();
    network
        .rs1
        .run("sysctl -qw net.ipv4.conf.eth0.arp_notify=1");
    network.rs1.ip("link set eth0 address 02:00:00:00:02:39");
    let port = answered_again(&network, 10_000);
    network
        .client
        .within(|| get(port))
        .expect("and stays found");
}

#[test]
fn a_real_server_that_silently_gets_another_mac_address_is_found_when_the_old_one_grows_stale() {
    let network = Network::new(Hook::Tc);
    // Set before an address is resolved, as it holds for those that are resolved later.
    network
        .director
        .run("sysctl -qw net.ipv4.neigh.eth1.base_reachable_time_ms=2000");
    let (_server, _director) = one_server(&network, Hook::Tc);
    network.client.within(|| get(10_000)).unwrap();
    network.rs1.ip("link set eth0 address 02:00:00:00:02:39");
    let port = answered_again(&network, 10_000);
    network
        .client
        .within(|| get(port))
        .expect("and stays found");
}

#[test]
fn a_clients_link_that_narrows_while_a_connection_lives_is_told_to_the_real_server() {
    let network = Network::new(Hook::Tc);
    let (server, _director) = one_server(&network, Hook::Tc);
    std::fs::write(server.file("body"), [b'y'; 4000]).unwrap();
    let address = format!("{VIP}:80").parse().unwrap();
    let answer = network.client.within(|| {
        let mut connection = connect(10_000, address).unwrap();
        network.director.ip("link set eth0 mtu 1200");
        std::thread::sleep(FOLLOWED);
        connection
            .write_all(b"GET /files/body HTTP/1.0\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        answer
    });
    assert!(answer.ends_with(&[b'y'; 4000]), "the answer is whole");
    let route = network.rs1.run(&format!("ip route get {CLIENT}"));
    assert!(route.contains("mtu 1200"), "{route}");
}

#[test]
fn a_link_that_goes_down_and_comes_back_carries_again() {
    let network = Network::new(Hook::Tc);
    let (_server, _director) = one_server(&network, Hook::Tc);
    network.client.within(|| get(10_000)).unwrap();
    network.director.ip("link set eth1 down");
    assert!(
        network.client.within(|| get(10_001)).is_err(),
        "no way leads to the server"
    );
    network.director.ip("link set eth1 up");
    let port = answered_again(&network, 10_001);
    network
        .client
        .within(|| get(port))
        .expect("and goes on carrying");
}

#[test]
fn a_real_server_that_nobody_has_heard_of_is_unreachable_to_the_client() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    director.set(&format!("-A -t {VIP}:80 -s rr"));
    let begin = Instant::now();
    director.set(&format!("-a -t {VIP}:80 -r 192.168.100.99:80 -m"));
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "ipvsadm does not wait without bound"
    );
    network.client.within(|| {
        let mut port = 10_000;
        eventually("the client is told", SOON, || {
            port += 1;
            (get(port).unwrap_err().kind() == ErrorKind::HostUnreachable).then_some(())
        });
    });
}
