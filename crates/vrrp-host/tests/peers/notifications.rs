//! Commands and pipes, in keepalived's words. What keepalived itself says is asked in the same test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use vrrp::{Group, Reading, Settings, State, Tracked, Version};
use vrrp_host::{Command, Fifo, Notify, Plan, SyncGroup, TrackScript};

use crate::keepalived::Keepalived;
use crate::support::{Ours, Segment, address, instance, until};

/// A script that appends its arguments to a file.
fn script(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let said = folder.join(format!("{name}.said")).display().to_string();
    fs::write(&path, format!("#!/bin/sh\necho \"$@\" >>{said}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn said(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(format!("{name}.said"))).unwrap_or_default()
}

fn command(program: PathBuf) -> Option<Command> {
    Some(Command {
        program,
        arguments: vec!["mine".to_owned()],
        user: None,
    })
}

fn settings(name: &str, number: u8) -> Settings {
    let addresses = vec![address(&format!("10.9.0.{number}"))];
    let interval = Duration::from_millis(100);
    Settings {
        version: Version::V3,
        interval,
        ..Settings::new(name, "eth0", number, addresses)
    }
}

/// The lines that come out of a pipe, in a thread that ends with the pipe's last writer.
pub fn listen(path: &Path, into: PathBuf) {
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut from = fs::File::open(path).unwrap();
        let mut into = fs::File::create(into).unwrap();
        let _ended = std::io::copy(&mut from, &mut into);
    });
}

#[test]
fn scripts_and_pipes_are_told_what_keepalived_tells_them() {
    let segment = Segment::new(2);
    let [here, there] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);

    let any = script(folder.path(), "any");
    let group = Group {
        name: "VG_1".to_owned(),
        members: vec!["VI_1".to_owned()],
    };
    let mut ours = instance(settings("VI_1", 101));
    ours.notify = Notify {
        any: command(any),
        ..Notify::default()
    };
    let plan = Plan {
        instances: vec![ours],
        groups: vec![SyncGroup {
            group,
            notify: Notify::default(),
        }],
        fifos: vec![Fifo {
            path: path("fifo"),
            owner: None,
            reader: None,
        }],
        ..Plan::default()
    };
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    listen(&path("fifo"), path("fifo.said"));
    let ours = Ours::start_plan(here, plan);
    ours.until(State::Master);
    ours.stop();

    let their_script = script(folder.path(), "their");
    let configuration = format!(
        "global_defs {{\n  script_user root\n  vrrp_notify_fifo {}\n}}\nvrrp_sync_group VG_1 {{\n  group {{\n    VI_1\n  }}\n}}\nvrrp_instance VI_1 {{\n  interface eth0\n  version 3\n  virtual_router_id 101\n  advert_int 0.1\n  virtual_ipaddress {{\n    10.9.0.101/24\n  }}\n  notify \"{} mine\"\n}}\n",
        path("their_fifo").display(),
        their_script.display(),
    );
    nix::unistd::mkfifo(&path("their_fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    listen(&path("their_fifo"), path("their_fifo.said"));
    let theirs = Keepalived::start(there, &configuration);
    until("keepalived is master", || there.holds("10.9.0.101"));
    theirs.stop();

    // Scripts run beside each other, so their lines have no order.
    let lines = |name: &str| {
        let text = said(folder.path(), name);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    until("the scripts have run", || lines("any").len() == 3);
    assert_eq!(lines("any"), lines("their"));
    until("the pipe is read", || {
        lines("fifo").len() == lines("their_fifo").len()
    });
    assert_eq!(lines("fifo"), lines("their_fifo"));
    assert!(lines("fifo").contains(&"INSTANCE \"VI_1\" MASTER 100".to_owned()));
}

#[test]
fn a_script_that_fails_makes_room_for_another_router() {
    let segment = Segment::new(2);
    let [here, there] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    let folder = TempDir::new().unwrap();
    let good = folder.path().join("good");
    fs::write(&good, "").unwrap();

    let weighted = |weight| Tracked {
        name: "check".to_owned(),
        weight,
        reverse: false,
        initial: Reading::Unknown,
    };
    let arguments = vec![good.display().to_string()];
    let check = TrackScript {
        name: "check".to_owned(),
        command: Command {
            program: "/usr/bin/stat".into(),
            arguments,
            user: None,
        },
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 2,
        initially_down: false,
    };
    let mut tracking = instance(settings("VI_1", 101));
    tracking.settings.priority = 200;
    tracking.settings.tracked = vec![weighted(-150)];
    let ours = Ours::start_plan(
        here,
        Plan {
            instances: vec![tracking],
            scripts: vec![check],
            ..Plan::default()
        },
    );
    ours.until(State::Master);

    let theirs = Keepalived::start(
        there,
        "vrrp_instance VI_1 {\n  interface eth0\n  version 3\n  virtual_router_id 101\n  advert_int 0.1\n  virtual_ipaddress {\n    10.9.0.101/24\n  }\n}\n",
    );
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(ours.status().priority, 200);
    assert!(!there.holds("10.9.0.101"));

    fs::remove_file(&good).unwrap();
    ours.until(State::Backup);
    assert_eq!(ours.status().priority, 50);
    until("keepalived took over", || there.holds("10.9.0.101"));
    fs::write(&good, "").unwrap();
    ours.until(State::Master);
    until("keepalived yields", || !there.holds("10.9.0.101"));
    drop(theirs);
}
