//! One keepalived.conf for both: what a host looks like to `ip`, and what the pipe says, must be equal.

use std::fs;
use std::path::{Path, PathBuf};

use config::{Environment, Files};
use tempfile::TempDir;
use vrrp::State;
use vrrp_host::Plan;

use crate::keepalived::Keepalived;
use crate::support::{Host, Ours, Segment, until};

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn matching(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// What ours makes of a configuration.
pub fn plan(text: &str) -> Plan {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keepalived.conf");
    fs::write(&path, text).unwrap();
    let environment = Environment {
        config_id: "test".to_owned(),
        random_seed: 1,
    };
    let reading = config::read(&path, &Disk, &environment).unwrap();
    assert!(!reading.has_errors(), "{}", reading.rendered(false));
    Plan::of(&reading.config).unwrap()
}

pub fn run(ours: bool, host: &Host, text: &str, meanwhile: impl FnOnce()) {
    if ours {
        let ours = Ours::start_plan(host, plan(text));
        meanwhile();
        ours.stop();
    } else {
        let theirs = Keepalived::start(host, text);
        meanwhile();
        theirs.stop();
    }
}

/// What `ip` shows of a host, without numbers that differ from host to host.
fn shown(host: &Host) -> Vec<String> {
    let addresses = host.ip("-o address show");
    let routes = host.ip("route show table all") + &host.ip("-6 route show table all");
    let rules = host.ip("rule show") + &host.ip("-6 rule show");
    let mut lines: Vec<String> = addresses
        .lines()
        .chain(routes.lines())
        .chain(rules.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.contains("multicast"))
        .collect();
    lines.sort();
    lines
}

const RICH: &str = "
global_defs {
  router_id TEST
  script_user root
  vrrp_notify_fifo FIFO
  vrrp_garp_master_delay 1
}
vrrp_sync_group VG_1 {
  group {
    OUTER
    INNER
  }
}
vrrp_script always {
  script \"/bin/true\"
  interval 1
  weight 20
}
vrrp_instance OUTER {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  version 3
  track_interface {
    eth0
  }
  virtual_ipaddress {
    10.9.0.100/24 dev eth0 label eth0:1
    10.9.0.101
    10.8.0.102/24 brd + scope link
    10.7.0.103/24 noprefixroute
  }
  virtual_ipaddress_excluded {
    2001:db8::100/64
    2001:db8::101
    2001:db8::103/128 preferred_lft forever
    2001:db8::104/64 home mngtmpaddr
    2001:db8:1::105/64 noprefixroute
  }
  virtual_routes {
    203.0.113.0/24 via 10.9.0.7 dev eth0
    198.51.100.0/24 dev eth0 metric 7
    blackhole 192.0.2.0/24
    198.51.101.0/24 via 10.9.0.7 dev eth0 mtu 1400
    198.51.102.0/24 dev eth0 scope link
    198.51.103.0/24 via 192.0.2.77 dev eth0 onlink
    default via 2001:db8::7 table 100
  }
  virtual_rules {
    from 10.9.0.0/24 table 100
    to 203.0.113.0/24 iif eth0 table 300
    from 10.8.0.102 to 10.1.0.0/16 fwmark 0x5/0xff table 101 priority 77
    from 2001:db8::/64 table 100
    from 198.51.100.0/24 blackhole priority 78
  }
}
vrrp_instance INNER {
  interface eth0
  virtual_router_id 52
  priority 100
  advert_int 0.1
  version 3
  virtual_ipaddress {
    fe80::100/64
    2001:db8::102/64
  }
}
";

#[test]
fn a_rich_configuration_gives_the_same_addresses_routes_and_words() {
    let folder = TempDir::new().unwrap();
    let seen = [true, false].map(|ours| {
        let segment = Segment::new(1);
        let host = &segment.hosts[0];
        let before = shown(host);
        let (fifo, said) = (
            folder.path().join(format!("{ours}")),
            folder.path().join(format!("{ours}.said")),
        );
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        crate::notifications::listen(&fifo, said.clone());
        let mut master = Vec::new();
        let text = RICH.replace("FIFO", &fifo.display().to_string());
        run(ours, host, &text, || {
            until("it holds everything", || {
                host.holds("10.8.0.102") && host.holds("2001:db8::102")
            });
            std::thread::sleep(std::time::Duration::from_millis(300));
            master = shown(host);
        });
        assert_eq!(shown(host), before, "all is as before");
        let mut lines: Vec<String> = fs::read_to_string(said)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        (master, lines)
    });
    assert_eq!(seen[0].0, seen[1].0);
    assert!(
        seen[0].0.iter().any(|line| line.starts_with("16384:")),
        "{:?}",
        seen[0].0
    );
    assert_eq!(seen[0].1, seen[1].1);
}

/// As it stands in many an old directory, with the virtual servers left out.
const OLD: &str = "
! Configuration File for keepalived
global_defs {
   notification_email {
     root@localhost
   }
   notification_email_from keepalived@localhost
   router_id LVS_DEVEL
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        10.9.0.100
    }
}
";

#[test]
fn two_directors_share_an_old_configuration_one_of_them_keepalived() {
    let segment = Segment::new(2);
    let [here, there] = &segment.hosts[..] else {
        panic!("two hosts")
    };
    let ours = Ours::start_plan(here, plan(OLD));
    ours.until(State::Master);
    let backup = OLD
        .replace("state MASTER", "state BACKUP")
        .replace("priority 100", "priority 90");
    let theirs = Keepalived::start(there, &backup);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(here.holds("10.9.0.100") && !there.holds("10.9.0.100"));
    ours.stop();
    until("keepalived took over", || there.holds("10.9.0.100"));
    assert!(!here.holds("10.9.0.100"));
    drop(theirs);
}

/// keepalived 2.2.7: `Cannot use unicast without any peers - going to fault state'.
#[test]
fn an_instance_without_the_peers_that_it_is_to_have_fails() {
    const LONELY: &str = "
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    advert_int 0.05
    version 3
    unicast_fault_no_peer
    unicast_peer {
    }
    virtual_ipaddress {
        10.9.0.100
    }
}
";
    for ours in [true, false] {
        let segment = Segment::new(1);
        let host = &segment.hosts[0];
        run(ours, host, LONELY, || {
            std::thread::sleep(std::time::Duration::from_secs(1));
            assert!(!host.holds("10.9.0.100"), "ours: {ours}");
        });
    }
    let segment = Segment::new(1);
    let ours = Ours::start_plan(&segment.hosts[0], plan(LONELY));
    ours.until(State::Fault);
    assert_eq!(
        ours.status().last.unwrap().cause.to_string(),
        "interface eth0 has no unicast peer to send to"
    );
}

#[test]
fn after_a_reload_the_pipe_says_where_everyone_stands() {
    const TOLD: &str = "
global_defs {
    vrrp_notify_fifo FIFO
    fifo_write_vrrp_states_on_reload
}
vrrp_sync_group VG_1 {
    group {
        VI_1
    }
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    advert_int 0.05
    version 3
    virtual_ipaddress {
        10.9.0.100
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    advert_int 0.05
    version 3
    virtual_ipaddress {
        10.9.0.101
    }
}
";
    let folder = TempDir::new().unwrap();
    let (fifo, said) = (folder.path().join("fifo"), folder.path().join("said"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    crate::notifications::listen(&fifo, said.clone());
    let text = TOLD.replace("FIFO", &fifo.display().to_string());
    let said = || fs::read_to_string(&said).unwrap_or_default();
    let segment = Segment::new(1);
    let ours = Ours::start_plan(&segment.hosts[0], plan(&text));
    until("all are master", || said().matches("MASTER").count() >= 3);
    let before = said().len();
    ours.reload_plan(plan(&text)).unwrap();
    // By keepalived's manual; 2.2.7 tells of groups alone, and not always.
    let expected = [
        "GROUP \"VG_1\" MASTER 0",
        "INSTANCE \"VI_1\" MASTER 100",
        "INSTANCE \"VI_2\" MASTER 100",
    ];
    until("the pipe says where all stand", || {
        let said = said();
        let mut lines: Vec<&str> = said[before..].lines().collect();
        lines.sort_unstable();
        lines == expected
    });
    ours.stop();
}
