//! Much data each way, with the offloads that the system sets.

use crate::support::{Director, Hook, Network, RS1, VIP, WebServer};

const LENGTH: usize = 100 << 20;

#[test]
fn a_hundred_mebibytes_pass_unaltered_each_way_on_tc() {
    transfer(Hook::Tc);
}

#[test]
fn a_hundred_mebibytes_pass_unaltered_each_way_on_xdp() {
    transfer(Hook::Xdp);
}

fn transfer(hook: Hook) {
    let network = Network::new(hook);
    let server = WebServer::start(&network.rs1, "rs1");
    let director = Director::start(&network, hook);
    director.set(&format!("-A -t {VIP}:80 -s rr"));
    director.set(&format!("-a -t {VIP}:80 -r {RS1}:80 -m"));
    // A prime period is in step with no block or segment.
    let sent: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
    let folder = tempfile::tempdir().unwrap();
    let (up, down) = (folder.path().join("up"), folder.path().join("down"));
    std::fs::write(&up, &sent).unwrap();

    let url = format!("http://{VIP}/files/body");
    let (up, down) = (up.display(), down.display());
    network
        .client
        .run(&format!("curl -sS --fail --max-time 60 -T {up} {url}"));
    let stored = std::fs::read(server.file("body")).unwrap();
    assert!(stored == sent, "{} bytes arrived, or others", stored.len());
    network
        .client
        .run(&format!("curl -sS --fail --max-time 60 -o {down} {url}"));
    let received = std::fs::read(down.to_string()).unwrap();
    assert!(
        received == sent,
        "{} bytes came back, or others",
        received.len()
    );
}
