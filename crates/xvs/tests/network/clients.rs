//! Clients on the director itself.

use nix::sys::signal::Signal;

use crate::support::{Director, Hook, Network, VIP, WebServer};

/// Who answers the director's own requests, how often each.
fn answers(network: &Network, requests: usize) -> [usize; 2] {
    let url = format!("http://{VIP}/");
    let ask = || {
        network
            .director
            .run(&format!("curl -sS --max-time 5 {url}"))
    };
    let said: Vec<String> = (0..requests).map(|_| ask()).collect();
    ["rs1", "rs2"].map(|name| said.iter().filter(|text| text.trim() == name).count())
}

fn refused(network: &Network) -> bool {
    let mut curl = network.director.command("curl");
    curl.args(["-sS", "--max-time", "5", &format!("http://{VIP}/")]);
    // "Failed to connect to host."
    curl.output().unwrap().status.code() == Some(7)
}

#[test]
fn they_reach_the_virtual_service_by_its_scheduler_also_without_the_daemon_and_no_more_once_it_ended()
 {
    let network = Network::new(Hook::Tc);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let mut director = Director::start(&network, Hook::Tc);
    assert!(refused(&network), "there is no service yet");
    director.set_up_web();
    assert_eq!(answers(&network, 10), [4, 6]);
    // They are no connections of the director's.
    assert!(director.rows().iter().all(|row| row.inactive == 0));

    director.end_daemon(Signal::SIGKILL);
    assert_eq!(answers(&network, 5), [2, 3]);
    director.start_daemon();
    assert_eq!(answers(&network, 5), [2, 3]);

    director.xvs("serve --stop-forwarding");
    assert!(refused(&network), "forwarding has ended");
}

#[test]
fn they_are_not_those_of_another_network_namespace() {
    let network = Network::new(Hook::Tc);
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let director = Director::start(&network, Hook::Tc);
    director.set_up_web();
    network
        .client
        .run(&format!("curl -sS --max-time 5 http://{VIP}/"));
    let connections = director
        .counters()
        .iter()
        .map(|row| row.connections)
        .sum::<u64>();
    assert_eq!(connections, 1);
}
