//! `xvs serve -f keepalived.conf`: virtual servers, health checks, reloads.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::{Director, Hook, Network, RS1, RS2, SOON, VIP, WebServer, eventually, get};

/// A configuration file that tests rewrite.
pub struct File {
    folder: TempDir,
}

impl File {
    pub fn new(text: &str) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        file.write(text);
        file
    }

    pub fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keepalived.conf")
    }

    pub fn start<'a>(&self, network: &'a Network) -> Director<'a> {
        let mut director = Director::without_daemon(&network.director, Hook::Tc);
        director.start_daemon_with(&["-f", &self.path().display().to_string()]);
        director
    }
}

/// The web by weight 1 and `weight`, checked twice a second.
fn web(weight: u32, more: &str) -> String {
    format!(
        "virtual_server {VIP} 80 {{
            delay_loop 0.5
            lb_algo wrr
            lb_kind NAT
            protocol TCP
            retry 1
            delay_before_retry 0.2
            connect_timeout 1
            {more}
            real_server {RS1} 80 {{
                weight 1
                HTTP_GET {{
                    url {{
                        path /
                        status_code 200
                    }}
                }}
            }}
            real_server {RS2} 80 {{
                weight {weight}
                TCP_CHECK {{
                }}
            }}
        }}
        "
    )
}

/// Destinations and weights, as `ipvsadm -ln` lists them, sorted.
fn listed(director: &Director<'_>) -> Vec<String> {
    let text = director.set("-ln");
    let mut rows: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  -> "))
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", words[0], words[2])
        })
        .collect();
    rows.sort();
    rows
}

fn becomes(director: &Director<'_>, expected: &[String]) {
    eventually("the destinations are as they should be", SOON, || {
        (listed(director) == expected).then_some(())
    });
}

#[test]
fn a_server_that_dies_is_taken_out_and_put_back_when_it_lives() {
    let network = Network::new(Hook::Tc);
    let file = File::new(&web(3, ""));
    let first = WebServer::start(&network.rs1, "rs1");
    let _second = WebServer::start(&network.rs2, "rs2");
    let director = file.start(&network);
    let both = [format!("{RS2}:80 3"), format!("{RS1}:80 1")];
    becomes(&director, &both);
    assert_eq!(director.set("-ln").matches("wrr").count(), 1);
    drop(first);
    becomes(&director, &both[..1]);
    network.client.within(|| {
        for port in 20_000..20_020 {
            assert_eq!(get(port).unwrap(), "rs2");
        }
    });
    let health = director.xvs("health --json").out;
    assert!(health.contains("\"is_alive\": false"), "{health}");
    assert!(health.contains("refused"), "{health}");
    // The lines that keepalived logs, in its order.
    let lines = |expected: &[String]| {
        let log = director.log();
        let mut rest = log.as_str();
        for line in expected {
            let (_, after) = rest
                .split_once(line)
                .unwrap_or_else(|| panic!("{line}: {log}"));
            rest = after;
        }
    };
    let (of, to) = (format!("[{RS1}]:tcp:80"), format!("VS [{VIP}]:tcp:80"));
    lines(&[
        format!("HTTP_CHECK on service {of} failed after 1 retries."),
        format!("Removing service {of} from {to}"),
    ]);
    let _first = WebServer::start(&network.rs1, "rs1");
    becomes(&director, &both);
    lines(&[
        format!("Remote Web server {of} succeed on service."),
        format!("Adding service {of} to {to}"),
    ]);
}

#[test]
fn a_reload_changes_what_the_file_changes_and_a_bad_file_nothing() {
    let network = Network::new(Hook::Tc);
    let file = File::new(&web(3, ""));
    let _servers = [
        WebServer::start(&network.rs1, "rs1"),
        WebServer::start(&network.rs2, "rs2"),
    ];
    let mut director = file.start(&network);
    let both = |weight: u32| [format!("{RS2}:80 {weight}"), format!("{RS1}:80 1")];
    becomes(&director, &both(3));
    let same = director.xvs("reload");
    assert_eq!(
        (same.code, same.out.as_str()),
        (Some(0), "Reloaded; nothing changed\n")
    );
    file.write(&web(5, ""));
    let difference = director.xvs("config diff");
    let weights = "-         weight 3\n+         weight 5\n";
    assert!(difference.out.contains(weights), "{}", difference.out);
    let counts = "make 1 change of the configuration; of the director's tables 1, in one transaction\n\
                  Checks: 0 would begin, 0 end, 2 go on\n";
    assert!(difference.out.contains(counts), "{}", difference.out);
    assert_eq!(listed(&director), both(3), "nothing is changed by asking");
    let changed = director.xvs("reload");
    let said = "Reloaded; 1 changes, in one transaction\n";
    assert_eq!(
        (changed.code, changed.out.as_str()),
        (Some(0), said),
        "{}",
        changed.err
    );
    assert_eq!(listed(&director), both(5));
    file.write(&web(7, "lb_alg rr"));
    let refused = director.xvs("reload");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("keepalived.conf:9:"),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains("unknown keyword `lb_alg'"),
        "{}",
        refused.err
    );
    assert_eq!(listed(&director), both(5));
    // Services that the file does not name any more are gone, with the next start as well.
    file.write(&web(7, "").replace(VIP, "172.16.10.99"));
    assert_eq!(director.end_daemon(Signal::SIGTERM), Some(0));
    director.start_daemon_with(&["-f", &file.path().display().to_string()]);
    let text = director.set("-ln");
    assert!(
        text.contains("172.16.10.99:80") && !text.contains(&format!("{VIP}:80")),
        "{text}"
    );
}

#[test]
fn without_quorum_clients_get_the_sorry_server_and_scripts_are_run() {
    let network = Network::new(Hook::Tc);
    let told = tempfile::tempdir().unwrap();
    let script = |word: &str| {
        format!(
            "quorum_{word} \"/usr/bin/touch {}/{word}\" root\n",
            told.path().display()
        )
    };
    let more = format!("sorry_server {RS2} 80\n{}{}", script("up"), script("down"));
    let text = web(3, &more);
    let sorry_only = text
        .split(&format!("real_server {RS2}"))
        .next()
        .unwrap()
        .to_owned()
        + "}";
    let at = |name: &str| told.path().join(name).display().to_string();
    // What reads the pipe is given its path last.
    let reader = at("reader");
    std::fs::write(&reader, "#!/bin/sh\nexec cat \"$2\" > \"$1\"\n").unwrap();
    std::fs::set_permissions(&reader, std::fs::Permissions::from_mode(0o755)).unwrap();
    let pipe = format!(
        "global_defs {{\nrs_init_notifies\nlvs_notify_fifo {} root\n\
         lvs_notify_fifo_script \"{reader} {}\" root\n}}\n",
        at("pipe"),
        at("heard")
    );
    let file = File::new(&format!("{pipe}{sorry_only}"));
    let first = WebServer::start(&network.rs1, "rs1");
    let _second = WebServer::start(&network.rs2, "sorry");
    let director = file.start(&network);
    becomes(&director, &[format!("{RS1}:80 1")]);
    drop(first);
    becomes(&director, &[format!("{RS2}:80 1")]);
    network
        .client
        .within(|| assert_eq!(get(20_000).unwrap(), "sorry"));
    let is_told = |word: &str| {
        eventually("the script is run", SOON, || {
            told.path().join(word).exists().then_some(())
        });
    };
    is_told("down");
    let _first = WebServer::start(&network.rs1, "rs1");
    becomes(&director, &[format!("{RS1}:80 1")]);
    is_told("up");
    // keepalived.conf(5), lvs_notify_fifo.
    let (real, of) = (format!("[{RS1}]:tcp:80"), format!("[{VIP}]:tcp:80"));
    let expected = format!(
        "RS {real} {of} UP\nRS {real} {of} DOWN\nVS {of} DOWN\nRS {real} {of} UP\nVS {of} UP\n"
    );
    eventually("the pipe's reader heard it", SOON, || {
        let heard = std::fs::read_to_string(at("heard")).ok()?;
        (heard == expected).then_some(())
    });
}
