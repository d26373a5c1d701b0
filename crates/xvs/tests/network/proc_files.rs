//! Programs that read what the kernel's IPVS shows under `/proc/net`.

use std::time::{Duration, Instant};

use crate::support::{Director, Hook, NameServer, Network, Process, RS1, VIP, connect};

/// How long counters may take to be added up and read.
const PATIENCE: Duration = Duration::from_secs(20);
const METRICS: &str = "http://127.0.0.1:9100/metrics";

#[test]
fn node_exporter_reads_services_destinations_and_counters() {
    let network = Network::new(Hook::Tc);
    NameServer::start(&network.rs1, "rs1");
    let director = Director::start(&network, Hook::Tc);
    director.set(&format!("-A -t {VIP}:80 -s wrr"));
    director.set(&format!("-a -t {VIP}:80 -r {RS1}:80 -m -w 7"));
    let service = format!("{VIP}:80").parse().unwrap();
    let _connections = network.client.within(|| {
        (0..3)
            .map(|_| connect(0, service).unwrap())
            .collect::<Vec<_>>()
    });

    let files = tempfile::tempdir().unwrap();
    let path = files.path().display();
    let mut writer = director.command("xvs");
    let _writer = Process::start(writer.args(format!("proc --into {path} --every 1").split(' ')));
    let mut exporter = network.director.command("prometheus-node-exporter");
    exporter.args(["--collector.disable-defaults", "--collector.ipvs"]);
    exporter.arg(format!("--path.procfs={path}"));
    let _exporter = Process::start(&mut exporter);

    let labels = |metric: &str| {
        format!(
            "{metric}{{local_address=\"{VIP}\",local_mark=\"\",local_port=\"80\",proto=\"TCP\",\
             remote_address=\"{RS1}\",remote_port=\"80\"}}"
        )
    };
    let wanted = [
        labels("node_ipvs_backend_weight") + " 7",
        labels("node_ipvs_backend_connections_active") + " 3",
        "node_ipvs_connections_total 3".to_owned(),
    ];
    let begin = Instant::now();
    loop {
        let mut curl = network.director.command("curl");
        let output = curl.args(["-sS", METRICS]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let has = |line: &String| text.lines().any(|found| found == line);
        if wanted.iter().all(has) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
