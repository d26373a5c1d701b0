//! Datagrams that are too large for the next link, and may be fragmented.

use std::net::UdpSocket;
use std::time::Duration;

use crate::support::{CLIENT, Director, Hook, Network, RS1, VIP};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A director between links of these MTUs, and a real server that sends back what it gets.
fn echoed(outside: u32, inside: u32, lengths: &[usize]) {
    let network = Network::new(Hook::Tc);
    network.packets_as_on_a_wire();
    network.set_mtu("outside", outside);
    network.set_mtu("inside", inside);
    // Any router may fragment what these send.
    for host in [&network.client, &network.rs1] {
        host.run("sysctl -qw net.ipv4.ip_no_pmtu_disc=1");
    }
    // A packet to a neighbour that is not known yet leaves whole.
    let director = network.director.within(|| socket("0.0.0.0:0"));
    director.send_to(&[], format!("{CLIENT}:9")).unwrap();
    let server = network.rs1.within(|| socket(&format!("{RS1}:5353")));
    let director = Director::start(&network, Hook::Tc);
    director.set(&format!("-A -u {VIP}:53 -s rr"));
    director.set(&format!("-a -u {VIP}:53 -r {RS1}:5353 -m"));
    let client = network.client.within(|| socket(&format!("{CLIENT}:4000")));
    let mut buffer = vec![0; 65_536];
    for &length in lengths {
        // A prime period is in step with no fragment.
        let sent: Vec<u8> = (0..=250).cycle().take(length).collect();
        client.send_to(&sent, format!("{VIP}:53")).unwrap();
        let (size, from) = server.recv_from(&mut buffer).expect("the server gets it");
        assert!(buffer[..size] == sent, "{size} bytes of {length} arrived");
        assert_eq!(from.to_string(), format!("{CLIENT}:4000"));
        server.send_to(&buffer[..size], from).unwrap();
        let (size, from) = client
            .recv_from(&mut buffer)
            .expect("the client gets it back");
        assert!(buffer[..size] == sent, "{size} bytes of {length} came back");
        assert_eq!(from.to_string(), format!("{VIP}:53"));
    }
}

#[test]
fn a_datagram_that_is_too_large_for_the_servers_link_arrives_in_fragments() {
    echoed(9000, 600, &[100, 573, 1400, 8972, 12_000]);
}

#[test]
fn a_datagram_that_is_too_large_for_the_clients_link_arrives_in_fragments() {
    echoed(600, 9000, &[100, 573, 1400, 8972, 12_000]);
}
