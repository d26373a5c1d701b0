//! Whole files: keepalived's own samples, and broken ones with what is said about them.
//!
//! `UPDATE_GOLDEN=1` writes the diagnostics anew.

use std::path::{Path, PathBuf};

use config::{Environment, Files, Reading, Severity};

/// The tests' files: what is included is looked for under its full name, without wildcards.
struct Golden;

impl Files for Golden {
    fn read(&self, path: &Path) -> Result<String, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let found = pattern.exists().then(|| pattern.to_owned());
        found.into_iter().collect()
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn read_as(path: &Path, config_id: &str) -> Reading {
    let environment = Environment {
        config_id: config_id.to_owned(),
        random_seed: 1,
    };
    config::read(path, &Golden, &environment).expect("the file can be read")
}

fn conf_files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "txt"))
        .collect();
    files.sort();
    files
}

/// What is said, with the files' names alone.
fn said(reading: &Reading) -> String {
    let root = format!("{}/", folder("broken").display());
    reading.rendered(false).replace(&root, "")
}

#[test]
fn every_sample_of_keepalived_is_accepted() {
    let samples = conf_files("samples");
    assert_eq!(samples.len(), 25);
    for sample in samples {
        for id in ["high", "low"] {
            let reading = read_as(&sample, id);
            assert!(
                !reading.has_errors(),
                "{}:\n{}",
                sample.display(),
                reading.rendered(false)
            );
        }
    }
}

#[test]
fn every_broken_file_is_refused_with_a_place_and_a_remedy() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for file in conf_files("broken") {
        let reading = read_as(&file, "host");
        assert!(reading.has_errors(), "{} is accepted", file.display());
        for diagnostic in &reading.diagnostics {
            assert!(reading.sources.line(diagnostic.span).is_some());
            assert!(!diagnostic.help.is_empty() && !diagnostic.label.is_empty());
        }
        let golden = file.with_extension("txt");
        let text = said(&reading);
        if update {
            std::fs::write(&golden, &text).unwrap();
        }
        assert_eq!(
            text,
            std::fs::read_to_string(&golden).unwrap(),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_configuration_of_the_nat_gateway_is_accepted_as_it_is() {
    let reading = read_as(&folder("good").join("nat-gateway.conf"), "host");
    assert!(!reading.has_errors(), "{}", reading.rendered(false));
    let [server] = &reading.config.virtual_servers[..] else {
        panic!("one virtual server");
    };
    assert_eq!(server.keys[0].to_string(), "TCP 192.168.2.180:80");
    assert_eq!(server.scheduler, model::Scheduler::Rr);
    assert_eq!(server.persistence.map(|p| p.timeout), Some(5));
    let weights: Vec<i32> = server
        .real_servers
        .iter()
        .map(|real| real.destination.weight)
        .collect();
    assert_eq!(weights, [1, 10]);
    let timing = server.real_servers[0].checks[0].timing;
    assert_eq!(
        (
            timing.delay_loop,
            timing.timeout,
            timing.retry,
            timing.delay_before_retry
        ),
        (seconds(6), seconds(3), 3, seconds(3))
    );
    let instance = &reading.config.vrrp_instances[0];
    assert!(instance.begins_as_master);
    assert_eq!((instance.virtual_router_id, instance.priority), (51, 100));
}

fn seconds(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

/// The expectations are those of the examples in keepalived.conf(5).
#[test]
fn variables_conditions_sequences_and_lists_are_replaced() {
    let file = folder("good").join("language.conf");
    let main = read_as(&file, "main");
    assert!(!main.has_errors(), "{}", main.rendered(false));
    assert_eq!(main.config.globals.router_id.as_deref(), Some("a b_c"));
    let addresses = |servers: &[config::model::VirtualServer]| -> Vec<String> {
        let real = servers.iter().flat_map(|server| &server.real_servers);
        real.map(|real| real.destination.key.address.to_string())
            .collect()
    };
    assert_eq!(
        addresses(&main.config.virtual_servers),
        ["192.168.0.1", "192.168.0.2", "192.168.1.1", "192.168.1.2"]
    );
    let real = &main.config.virtual_servers[1].real_servers[0];
    let config::model::CheckKind::Misc { script, .. } = &real.checks[0].kind else {
        panic!("a MISC_CHECK");
    };
    let expected = format!("{}/check", folder("good").display());
    assert_eq!(script.command, [expected.as_str(), "10.0.1.4 x", "#1"]);
    let instance = &main.config.vrrp_instances[0];
    assert_eq!((instance.priority, instance.no_preempt), (240, false));
    let held: Vec<String> = instance
        .addresses
        .iter()
        .chain(&instance.excluded_addresses)
        .map(|address| address.address.to_string())
        .collect();
    assert_eq!(
        held,
        [
            "10.2.0.100",
            "10.2.10.100",
            "10.9.1.1",
            "10.9.2.1",
            "10.9.3.1",
            "192.168.10.1",
            "192.168.20.4",
            "fe80::8",
            "fe80::9",
            "fe80::a",
            "fe80::b",
        ]
    );
    let backup = read_as(&file, "backup");
    let instance = &backup.config.vrrp_instances[0];
    assert_eq!((instance.priority, instance.no_preempt), (200, true));
}

#[test]
fn what_is_shown_means_the_same_when_it_is_read() {
    let shown = tempfile("shown.conf");
    let samples = conf_files("samples").into_iter().map(|file| (file, "high"));
    let good = conf_files("good").into_iter().map(|file| (file, "main"));
    for (sample, id) in samples.chain(good) {
        let config = read_as(&sample, id).config;
        std::fs::write(&shown, config.to_string()).unwrap();
        let again = read_as(&shown, id);
        assert!(
            !again.has_errors(),
            "{}:\n{}",
            sample.display(),
            again.rendered(false)
        );
        assert_eq!(again.config, config, "{}", sample.display());
    }
}

/// What is different, as heads and lines with their marks.
fn changes(before: &str, after: &str) -> Vec<String> {
    let read = |name: &str, text: &str| {
        let file = tempfile(name);
        std::fs::write(&file, text).expect("the folder is writable");
        let reading = read_as(&file, "host");
        assert!(!reading.has_errors(), "{}", reading.rendered(false));
        reading.config
    };
    let (before, after) = (read("before.conf", before), read("after.conf", after));
    let told = |change: config::Change| {
        let within = change.within.join(" / ");
        let line = |mark: &str, line: Option<String>| {
            line.map_or_else(String::new, |line| {
                format!(" {mark} {}", line.lines().next().unwrap_or_default())
            })
        };
        format!(
            "{within}:{}{}",
            line("-", change.before),
            line("+", change.after)
        )
    };
    config::difference(&before, &after)
        .into_iter()
        .map(told)
        .collect()
}

const TWO_PROTOCOLS: &str = "
virtual_server 192.0.2.1 53 {
    protocol UDP
    real_server 10.0.0.1 53 {
        weight 1
        DNS_CHECK {
        }
    }
}
virtual_server 192.0.2.1 53 {
    protocol TCP
    real_server 10.0.0.1 53 {
        weight 1
        TCP_CHECK {
            connect_timeout 3
        }
    }
    real_server 10.0.0.2 53 {
    }
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    authentication {
        auth_type PASS
        auth_pass secret
    }
    virtual_ipaddress {
        192.0.2.1/24
    }
}
";

#[test]
fn what_is_different_is_told_in_the_words_of_the_file_under_its_blocks() {
    let other = TWO_PROTOCOLS
        .replace("connect_timeout 3", "connect_timeout 2")
        .replace("real_server 10.0.0.2", "real_server 10.0.0.3")
        .replace("auth_pass secret", "auth_pass other")
        .replace("192.0.2.1/24", "192.0.2.1/24\n192.0.2.2/24");
    let server = "virtual_server 192.0.2.1 53";
    assert_eq!(
        changes(TWO_PROTOCOLS, &other),
        [
            "vrrp_instance VI_1 / virtual_ipaddress: + 192.0.2.2/24".to_owned(),
            "vrrp_instance VI_1 / authentication: - auth_pass ... + auth_pass ...".to_owned(),
            format!(
                "{server} / real_server 10.0.0.1 53 / TCP_CHECK: - connect_timeout 3 + connect_timeout 2"
            ),
            format!("{server}: + real_server 10.0.0.3 53 {{"),
            format!("{server}: - real_server 10.0.0.2 53 {{"),
        ]
    );
}

#[test]
fn defaults_that_are_written_out_and_another_order_are_no_difference() {
    let (udp, rest) = TWO_PROTOCOLS.split_at(
        TWO_PROTOCOLS
            .rfind("virtual_server")
            .expect("there are two"),
    );
    let other = format!("{rest}{udp}").replace("weight 1", "");
    assert_eq!(changes(TWO_PROTOCOLS, &other), [""; 0]);
}

fn tempfile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn what_has_no_effect_is_told_once_with_a_reason() {
    let reading = read_as(&folder("good").join("nat-gateway.conf"), "host");
    let told: Vec<(Severity, &str)> = reading
        .diagnostics
        .iter()
        .map(|diagnostic| (diagnostic.severity, diagnostic.message.as_str()))
        .collect();
    assert_eq!(told, [(Severity::Warning, "`nat_mask' has no effect")]);
}

#[test]
fn bfd_instances_have_keepaliveds_defaults_and_the_hop_limit_of_the_standard() {
    let reading = read_as(&folder("good").join("bfd.conf"), "host");
    assert_eq!(reading.diagnostics, []);
    let config = reading.config;
    let [router, server, far] = &config.bfd_instances[..] else {
        panic!("three sessions");
    };
    let microseconds = std::time::Duration::from_micros;
    let intervals = |instance: &config::model::BfdInstance| {
        (instance.min_rx, instance.min_tx, instance.idle_tx)
    };
    assert_eq!(
        intervals(router),
        (microseconds(3312), microseconds(20_000), seconds(2))
    );
    assert_eq!(
        intervals(server),
        (microseconds(10_000), microseconds(10_000), seconds(1))
    );
    assert_eq!((router.multiplier, server.multiplier), (3, 5));
    assert!(router.for_vrrp && !router.for_checks && server.for_vrrp && server.for_checks);
    assert_eq!((router.hop_limit, router.max_hops), (255, Some(0)));
    assert_eq!((server.hop_limit, server.max_hops), (255, None));
    assert_eq!((far.hop_limit, far.max_hops), (64, None));
    let tracked: Vec<(&str, Option<i32>)> = config.vrrp_instances[0]
        .track_bfds
        .iter()
        .map(|by| (by.name.as_str(), by.weight.map(|weight| weight.weight)))
        .collect();
    assert_eq!(tracked, [("router", None), ("far", Some(5))]);
    let check = &config.virtual_servers[0].real_servers[0].checks[0];
    assert_eq!(check.kind.keyword(), "BFD_CHECK");
    assert!(check.alpha);
}

#[test]
fn real_servers_are_checked_by_their_virtual_address_where_it_is_asked_for() {
    let reading = read_as(&folder("good").join("via.conf"), "host");
    assert_eq!(reading.diagnostics, []);
    let [web, names] = &reading.config.virtual_servers[..] else {
        panic!("two virtual servers");
    };
    assert!(web.ha_suspend);
    let kinds = |server: &config::model::VirtualServer| -> Vec<Vec<&str>> {
        let real = server.real_servers.iter();
        real.map(|real| {
            let checks = real.checks.iter();
            checks.map(|check| check.kind.keyword()).collect()
        })
        .collect()
    };
    assert_eq!(
        kinds(web),
        [
            vec!["TCP_CHECK", "check_via_vip"],
            vec!["check_via_vip"],
            vec![]
        ]
    );
    let via = |server: &config::model::VirtualServer, real: usize| {
        let check = server.real_servers[real].checks.last().expect("a check");
        let config::model::CheckKind::Via(via) = &check.kind else {
            panic!("{check:?}");
        };
        assert_eq!(check.timing.delay_loop, seconds(60));
        (via.port, via.tunnel.map(|tunnel| tunnel.port))
    };
    assert_eq!(via(web, 0), (Some(80), None));
    assert_eq!(via(web, 1), (Some(80), Some(6080)));
    // Of UDP the address alone is asked.
    assert_eq!(via(names, 0), (None, None));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z$@~\\\\\"'{}()#,= \n]|virtual_server|real_server|10\\.0\\.0\\.1|~SEQ|~LST|TCP_CHECK|vrrp_instance|é){0,60}") {
        struct One(String);
        impl Files for One {
            fn read(&self, _: &Path) -> Result<String, String> {
                Ok(self.0.clone())
            }
            fn matching(&self, _: &Path) -> Vec<PathBuf> {
                Vec::new()
            }
        }
        let environment = Environment { config_id: "a".to_owned(), random_seed: 0 };
        let reading = config::read(Path::new("/x"), &One(text), &environment).unwrap();
        let _ = reading.rendered(false);
        let _ = reading.config.to_string();
    }
}

#[test]
fn authentication_of_version_3_is_left_out_as_keepalived_does() {
    let reading = read_as(&folder("good").join("version3.conf"), "host");
    assert!(!reading.has_errors(), "{}", reading.rendered(false));
    assert!(reading.config.vrrp_instances[0].authentication.is_none());
    assert!(
        said(&reading).contains("VRRP version 3 has no authentication by PASS or AH"),
        "{}",
        reading.rendered(false)
    );
}

#[test]
fn how_neighbours_are_told_is_said_for_all_and_by_instance_and_interface() {
    use config::model::Pace;
    use std::time::Duration;
    let reading = read_as(&folder("good").join("announcements.conf"), "host");
    let config = &reading.config;
    let milliseconds = Duration::from_millis;
    let usual = Pace {
        arp: milliseconds(1),
        advertisement: Duration::from_micros(1),
    };
    assert_eq!(config.globals.announcement_pace, usual);
    let groups: Vec<(&[String], Pace)> = config
        .garp_groups
        .iter()
        .map(|group| (&group.interfaces[..], group.pace))
        .collect();
    let pace = |arp, advertisement| Pace {
        arp: milliseconds(arp),
        advertisement: milliseconds(advertisement),
    };
    let names = ["eth0", "eth1", "eth2"].map(str::to_owned);
    let alone = ["eth3".to_owned()];
    let expected = [(&names[..], pace(200, 100)), (&alone[..], pace(1000, 0))];
    assert_eq!(groups, expected);
    let told: Vec<_> = config
        .vrrp_instances
        .iter()
        .map(|one| one.announcements)
        .map(|told| (told.repeat, told.extra_refresh, told.extra_all))
        .collect();
    let expected = [
        (2, seconds(60), true),
        (2, seconds(0), false),
        (2, seconds(100), false),
    ];
    assert_eq!(told, expected);
}

/// As keepalived 2.2.7 does: `(VI_1) Warning - nopreempt will not work with initial state MASTER`.
#[test]
fn an_instance_that_is_master_by_right_preempts_at_once() {
    let reading = read_as(&folder("good").join("announcements.conf"), "host");
    assert!(!reading.has_errors(), "{}", reading.rendered(false));
    for keyword in ["nopreempt", "preempt_delay"] {
        let told = format!("`{keyword}' has no effect beside `state MASTER'");
        assert!(
            said(&reading).contains(&told),
            "{}",
            reading.rendered(false)
        );
    }
    let preemption: Vec<_> = reading.config.vrrp_instances[..2]
        .iter()
        .map(|one| (one.no_preempt, one.preempt_delay))
        .collect();
    assert_eq!(preemption, [(false, seconds(0)), (true, seconds(0))]);
}

#[test]
fn a_key_can_be_brought_to_one_router_after_the_other() {
    let reading = read_as(&folder("good").join("announcements.conf"), "host");
    let hmacs = reading.config.vrrp_instances[2].hmacs.as_ref().unwrap();
    assert_eq!(hmacs.window, Some(seconds(30)));
    assert!(hmacs.permissive && hmacs.anti_replay);
}
