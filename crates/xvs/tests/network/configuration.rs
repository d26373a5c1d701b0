//! What is saved is what is restored.

use crate::support::{Director, Hook, Network, RS1, RS2, VIP};

/// Services of every kind that can be named, and destinations of them.
fn set_up(director: &Director) {
    director.set_up_web();
    director.set(&format!("-A -u {VIP}:53 -s wlc"));
    director.set(&format!(
        "-a -u {VIP}:53 -r {RS1}:5353 -m -w 7 -x 500 -y 100"
    ));
    director.set(&format!("-A -t {VIP}:443 -s lc -p 600"));
    director.set(&format!("-a -t {VIP}:443 -r {RS2}:443 -m -w 0"));
    director.set("-A -f 12 -s rr");
}

/// What ipvsadm 1.31 printed for the kernel's own director.
const NAT_WRR: &str = include_str!("../golden/nat-wrr-save.txt");

#[test]
fn the_first_demonstration_is_saved_as_the_kernels_director_is() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    director.set_up_web();
    assert_eq!(director.set("-Sn"), NAT_WRR);
}

#[test]
fn what_ipvsadm_save_prints_ipvsadm_restore_makes_again() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    set_up(&director);
    let saved = director.set("-Sn");
    assert_eq!(saved.lines().count(), 8, "{saved}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    let file = file.display();
    let restored = director.shell(&format!(
        "ipvsadm-save -n > {file} && ipvsadm -C && ipvsadm-restore < {file}"
    ));
    assert_eq!((restored.code, restored.err.as_str()), (Some(0), ""));
    assert_eq!(director.set("-Sn"), saved);
}

#[test]
fn xvs_config_save_keeps_thresholds_too() {
    let network = Network::new(Hook::Tc);
    let director = Director::start(&network, Hook::Tc);
    set_up(&director);
    director.set("--set 300 60 90");
    let thresholds = director.set("-ln --thresholds");
    assert!(thresholds.contains("500        100"), "{thresholds}");
    let saved = director.xvs("config save -");
    assert_eq!(saved.code, Some(0), "{}", saved.err);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, &saved.out).unwrap();
    director.set("-C");
    director.set("--set 1 2 3");
    let restored = director.shell(&format!("ipvsadm-restore < {}", file.display()));
    assert_eq!((restored.code, restored.err.as_str()), (Some(0), ""));
    assert_eq!(director.set("-ln --thresholds"), thresholds);
    assert_eq!(
        director.set("-l --timeout"),
        "Timeout (tcp tcpfin udp): 300 60 90\n"
    );
}

/// As `sysctl -w net.ipv4.vs.NAME=VALUE` does for the kernel's director.
#[test]
fn settings_are_set_listed_saved_and_restored() {
    let network = Network::new(Hook::Tc);
    let mut director = Director::start(&network, Hook::Tc);
    director.set_up_web();
    let set = director.xvs("set net.ipv4.vs.expire_nodest_conn=1 secure_tcp=3 drop_packet=2");
    assert_eq!((set.code, set.err.as_str()), (Some(0), ""));
    let value = |director: &Director, name: &str| {
        let listed = director.xvs("set").out;
        let mut lines = listed.lines().map(str::split_whitespace);
        let mut words = lines.find_map(|mut words| (words.next() == Some(name)).then_some(words));
        words.as_mut().and_then(Iterator::next).map(str::to_owned)
    };
    let is = |director: &Director, name: &str, expected: &str| {
        assert_eq!(value(director, name).as_deref(), Some(expected), "{name}");
    };
    is(&director, "expire_nodest_conn", "1");
    // Memory is not short.
    is(&director, "drop_packet", "1");
    let refused = director.xvs("set sloppy_tcp=1 conntrack=1");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("hint: "), "{}", refused.err);
    is(&director, "sloppy_tcp", "0");

    let saved = director.xvs("config save -").out;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, &saved).unwrap();
    director.end_daemon(nix::sys::signal::Signal::SIGKILL);
    director.start_daemon();
    is(&director, "secure_tcp", "3");
    let changed = director.xvs("set secure_tcp=0 sloppy_tcp=1 expire_nodest_conn=0");
    assert_eq!(changed.code, Some(0), "{}", changed.err);
    director.set("-C");
    let restored = director.xvs(&format!("config restore {}", file.display()));
    assert_eq!((restored.code, restored.err.as_str()), (Some(0), ""));
    assert_eq!(director.xvs("config save -").out, saved);
    let json = director.xvs("set --json").out;
    assert!(json.contains("\"name\": \"drop_entry\""), "{json}");

    std::fs::write(&file, "xvs set secure_tcp=9\n").unwrap();
    let refused = director.xvs(&format!("config restore {}", file.display()));
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("Invalid argument"), "{}", refused.err);
    assert_eq!(director.xvs("config save -").out, saved);
}
