//! The way to a real server changes while traffic runs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::{
    CLIENT, Director, Hook, Network, RS1, SOON, VIP, WebServer, connect, eventually, get,
};

/// How long it may take until a silent change of a MAC address is found: five seconds, and as much
/// again for a busy machine and a client that repeats its SYN.
const FOUND_ANEW: Duration = Duration::from_secs(10);
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
fn a_real_server_that_silently_gets_another_mac_address_is_found_within_seconds() {
    let network = Network::new(Hook::Tc);
    let (_server, _director) = one_server(&network, Hook::Tc);
    network.client.within(|| get(10_000)).unwrap();
    network.rs1.ip("link set eth0 address 02:00:00:00:02:39");
    let begin = Instant::now();
    let port = answered_again(&network, 10_000);
    let taken = begin.elapsed();
    assert!(taken < FOUND_ANEW, "it took {taken:?}");
    network
        .client
        .within(|| get(port))
        .expect("and stays found");
}

#[test]
fn a_clients_link_that_narrows_while_a_connection_lives_is_told_to_the_real_server() {
    a_way_to_a_client_narrows_to_1200("link set eth0 mtu 1200");
}

#[test]
fn a_clients_route_that_narrows_while_a_connection_lives_is_told_to_the_real_server() {
    a_way_to_a_client_narrows_to_1200("route change 172.16.10.0/24 dev eth0 mtu lock 1200");
}

fn a_way_to_a_client_narrows_to_1200(how: &str) {
    let network = Network::new(Hook::Tc);
    let (server, _director) = one_server(&network, Hook::Tc);
    std::fs::write(server.file("body"), [b'y'; 4000]).unwrap();
    let address = format!("{VIP}:80").parse().unwrap();
    let answer = network.client.within(|| {
        let mut connection = connect(10_000, address).unwrap();
        network.director.ip(how);
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
