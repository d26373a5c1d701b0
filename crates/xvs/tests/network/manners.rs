//! keepalived's manners: its name and options, its signals, and what a service manager is told.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Director, Hook, Network, Process, RS1, RS2, SOON, VIP, eventually, said};

/// A service with a server that is there and one that is not checked.
fn configuration() -> String {
    format!(
        "virtual_server {VIP} 80 {{
            delay_loop 1
            lb_algo wrr
            lb_kind NAT
            protocol TCP
            real_server {RS1} 80 {{
                weight 3
            }}
            real_server {RS2} 80 {{
                TCP_CHECK {{
                    connect_timeout 1
                }}
            }}
        }}
        vrrp_instance VI_1 {{
            interface eth0
            virtual_router_id 51
            virtual_ipaddress {{
                172.16.10.99
            }}
        }}"
    )
}

/// What a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    /// The next message that is not only a sign of life.
    fn next(&self) -> String {
        loop {
            let message = self.any();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    fn any(&self) -> String {
        let mut buffer = [0; 256];
        let length = self.0.recv(&mut buffer).expect("something is told in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[test]
fn called_keepalived_it_takes_its_options_and_signals_and_tells_the_service_manager() {
    let network = Network::new(Hook::Tc);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("conf"), configuration()).unwrap();
    let manager = Manager::listen(&at("notify"));
    let director = Director::without_daemon(&network.director, Hook::Tc);
    let mut command = director.command("keepalived");
    command
        .args(["-n", "-G", "-D", "-d", "-X", "-f"])
        .arg(at("conf"))
        .arg("-g")
        .arg(at("log"))
        .arg("-p")
        .arg(at("pid"))
        .env("NOTIFY_SOCKET", at("notify"))
        .env("WATCHDOG_USEC", "400000")
        .stderr(std::fs::File::create(at("errors")).unwrap());
    let mut daemon = Process::start(&mut command);
    manager
        .0
        .set_read_timeout(Some(Duration::from_secs(90)))
        .unwrap();
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(manager.any(), "WATCHDOG=1", "each 200 ms");
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
    assert!(read("errors").contains("--release-vips has no effect: "));
    let pid = read("pid");
    assert!(Path::new("/proc").join(pid.trim()).exists(), "{pid}");
    // -d: the configuration with its defaults.
    assert!(read("log").contains("lvs_sched wrr"), "{}", read("log"));
    let signal = |name: &str| {
        let line = format!("kill -s $(keepalived --signum={name}) {}", pid.trim());
        assert_eq!(director.shell(&line).code, Some(0));
    };
    signal("RELOAD");
    assert!(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.next(), "READY=1");
    // The log says where the files are.
    let written = |name: &str| {
        let text = eventually("the file is written", SOON, || {
            let log = read("log");
            let file = log.split("file=").find(|rest| {
                let path = rest.split_whitespace().next().unwrap_or_default();
                path.ends_with(name)
            })?;
            Some(file.split_whitespace().next()?.to_owned())
        });
        std::fs::read_to_string(text).unwrap()
    };
    signal("DATA");
    let data = written("keepalived.data");
    for part in [
        "weight 3",
        "VRRP Topology",
        "VI_1",
        "Health checkers",
        "TCP_CHECK",
    ] {
        assert!(data.contains(part), "{part}\n{data}");
    }
    signal("STATS");
    let statistics = written("keepalived.stats");
    assert!(
        statistics.contains("LVS Topology") && statistics.contains(&format!("{RS1}:80")),
        "{statistics}"
    );
    signal("STOP");
    assert_eq!(manager.next(), "STOPPING=1");
    assert_eq!(daemon.wait(), Some(0));
    assert!(!at("pid").exists());
}

#[test]
fn its_configuration_test_ends_as_keepaliveds_does() {
    let network = Network::new(Hook::Tc);
    let director = Director::without_daemon(&network.director, Hook::Tc);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conf");
    let report = folder.path().join("report");
    let good = configuration();
    for text in [
        good.clone(),
        good.replace("weight 3", "weight heavy"),
        good.replace("delay_loop", "delay_lop"),
        good.replace("TCP_CHECK {", "TCP_CHECKS {"),
        format!("{good}\n}}"),
    ] {
        std::fs::write(&file, &text).unwrap();
        // Where the interface is: keepalived does not take files with others.
        let mut theirs = director.command("/usr/sbin/keepalived");
        let theirs = theirs
            .arg("-t")
            .arg("-f")
            .arg(&file)
            .stderr(Stdio::null())
            .status()
            .expect("keepalived is installed");
        let words = ["-t", "-f", &file.display().to_string()];
        let ours = said(director.command("keepalived").args(words));
        assert_eq!(ours.code, theirs.code(), "{text}\n{}", ours.err);
        let to = format!("--config-test={}", report.display());
        let ours = said(
            director
                .command("keepalived")
                .args([&to, words[1], words[2]]),
        );
        let written = std::fs::read_to_string(&report).unwrap();
        assert_eq!(
            written.contains("error: "),
            ours.code != Some(0),
            "{written}"
        );
        assert_eq!(ours.err, "");
    }
}
