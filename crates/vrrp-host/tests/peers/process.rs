//! Our virtual router as a process of its own, which can be frozen and killed: this test program,
//! called for the one test that is such a process.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::broadcast;
use vrrp::{Reading, Settings, Tracked, Version};
use vrrp_host::{Daemon, Plan, TrackScript};

use crate::support::{Host, address, instance};

const PRIORITY: &str = "XVS_TEST_PRIORITY";
const CHECKED: &str = "XVS_TEST_CHECKED";

/// What the failures happen to: version 3, so that they take less time.
pub const INTERVAL: Duration = Duration::from_millis(100);
pub const VIP: &str = "10.9.0.100";

fn plan(priority: u8, checked: &Path) -> Plan {
    let settings = Settings::new("VI_1", "eth0", 51, vec![address(VIP)]);
    let tracked = Tracked {
        name: "check".to_owned(),
        weight: 0,
        reverse: false,
        initial: Reading::Unknown,
    };
    let settings = Settings {
        version: Version::V3,
        interval: INTERVAL,
        priority,
        tracked: vec![tracked],
        ..settings
    };
    let check = TrackScript {
        name: "check".to_owned(),
        command: vrrp_host::Command {
            program: "/usr/bin/stat".into(),
            arguments: vec![checked.display().to_string()],
            user: None,
        },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        initially_down: false,
    };
    Plan {
        instances: vec![instance(settings)],
        scripts: vec![check],
        ..Plan::default()
    }
}

#[test]
#[ignore = "is the process that other tests start"]
fn the_process() {
    let Ok(priority) = std::env::var(PRIORITY) else {
        return;
    };
    let priority = priority.parse().unwrap();
    let checked = PathBuf::from(std::env::var(CHECKED).unwrap());
    let daemon = Daemon::start(
        plan(priority, &checked),
        Arc::new(()),
        broadcast::channel(1).0,
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for _reload in std::io::stdin().lock().lines().map_while(Result::ok) {
        runtime
            .block_on(daemon.reload(plan(priority, &checked)))
            .unwrap();
    }
    daemon.stop().unwrap();
}

/// Such a process.
pub struct Process(Child);

impl Process {
    pub fn start(host: &Host, priority: u8, checked: &Path) -> Self {
        let child = Command::new("ip")
            .args(["netns", "exec", &host.name])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "process::the_process"])
            .env(PRIORITY, priority.to_string())
            .env(CHECKED, checked)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    pub fn reload(&mut self) {
        self.0
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"reload\n")
            .unwrap();
    }

    /// Ends it as an administrator does.
    pub fn stop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status = self.0.wait();
    }
}
