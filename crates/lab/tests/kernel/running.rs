//! What a run does and finds.

use std::process::Output;

use serde_json::Value;

use crate::support::{TestLab, said};

#[test]
fn a_lab_with_the_kernels_own_nat_runs_as_expected_and_leaves_nothing() {
    let lab = TestLab::new("whole");
    let output = lab.call("run", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("test-whole: 5 of 5 steps run, as expected"),
        "{}",
        said(&output)
    );
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn an_expectation_that_does_not_hold_fails_the_run_and_says_what_was_found() {
    let lab = TestLab::changed("wrong", |text| {
        text.replace("\"RS1:192.168.100.39\" = 4", "\"RS1:192.168.100.39\" = 5")
    });
    let output = lab.call("run", &["--step", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains(
            "FAILED: expected 5 from RS1:192.168.100.39, 6 from RS2:192.168.100.23; \
             found 4 from RS1:192.168.100.39, 6 from RS2:192.168.100.23"
        ),
        "{said}"
    );
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn a_step_run_alone_gets_the_changes_of_those_before_it_and_not_their_traffic() {
    let lab = TestLab::new("alone");
    let report = json(&lab.call("run", &["--step", "4", "--json"]));
    assert_eq!(report["steps"].as_array().unwrap().len(), 1);
    assert_eq!(report["steps"][0]["number"], 4);
    assert_eq!(report["passed"], true);
    let text = said(&lab.call("run", &["--step", "4"]));
    assert!(
        text.contains("rs1 # ip route del default   (of step 3)"),
        "{text}"
    );
}

#[test]
fn one_connection_is_followed_wire_by_wire_through_the_kernels_nat() {
    let lab = TestLab::new("way");
    let report = json(&lab.call("run", &["--step", "1", "--json"]));
    let journeys = report["steps"][0]["connection"]["journeys"]
        .as_array()
        .unwrap();
    let way = |at: usize| -> Vec<String> {
        let sightings = journeys[at]["sightings"].as_array().unwrap();
        sightings
            .iter()
            .map(|seen| {
                format!(
                    "{} {} {} ttl {}",
                    seen["host"], seen["interface"], seen["direction"], seen["packet"]["ip"]["ttl"]
                )
                .replace('"', "")
            })
            .collect()
    };
    assert_eq!(journeys[0]["segment"]["flags"], "SYN");
    assert_eq!(
        way(0),
        [
            "client eth0 out ttl 64",
            "router eth0 in ttl 64",
            "router eth1 out ttl 63",
            "rs1 eth0 in ttl 63"
        ]
    );
    assert_eq!(journeys[1]["segment"]["flags"], "SYN+ACK");
    assert_eq!(
        way(1),
        [
            "rs1 eth0 out ttl 64",
            "router eth1 in ttl 64",
            "router eth0 out ttl 63",
            "client eth0 in ttl 63"
        ]
    );
    let first = &journeys[1]["sightings"][0]["packet"];
    assert_eq!(
        (&first["source_mac"], &first["destination_mac"]),
        (&"02:00:00:00:01:39".into(), &"02:00:00:00:01:17".into())
    );
}

#[test]
fn frames_are_told_apart_by_mac_address_and_ttl_and_so_is_who_answers_for_an_address() {
    let lab = TestLab::dr("dr");
    let output = lab.call("run", &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn the_twin_is_the_same_lab_with_ipv6_addresses() {
    let lab = TestLab::dr("twin");
    let report = json(&lab.call("run", &["--ipv6", "--json"]));
    assert_eq!(report["lab"], "test-twin-v6");
    assert_eq!(report["passed"], true, "{report:#}");
    let asked = report["steps"][0]["connection"]["asked"].as_str().unwrap();
    assert_eq!(asked, "[2001:db8:100::11]:80");
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn several_runs_end_in_a_table_and_what_failed_is_told_below_it() {
    let lab = TestLab::changed("table", |text| {
        text.replace("\"RS1:192.168.100.39\" = 4", "\"RS1:192.168.100.39\" = 5")
    });
    let output = lab.call("run", &["--step", "1", "--hook", "tc,xdp"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("test-table "), "{text}");
    assert_eq!(row.matches("FAILED 1").count(), 2, "{text}");
    assert!(text.contains("== test-table on xdp\n"), "{text}");
    assert!(text.contains("FAILED: expected 5 from RS1"), "{text}");
    assert!(
        text.ends_with(" s\n") && text.contains("\n0 of 2 as expected"),
        "{text}"
    );
    assert_eq!(lab.left(), Vec::<String>::new());
}

#[test]
fn without_offloads_there_is_nothing_to_be_finished_later() {
    let lab = TestLab::new("plain");
    let up = lab.call("up", &["--hook", "tc", "--offloads", "off"]);
    assert!(up.status.success(), "{}", said(&up));
    for (host, interface) in [("rs1", "eth0"), ("segments", "rs1.eth0")] {
        let features = said(&lab.call("exec", &[host, "ethtool", "-k", interface]));
        for off in [
            "tx-checksumming: off",
            "tcp-segmentation-offload: off",
            "generic-segmentation-offload: off",
            "generic-receive-offload: off",
        ] {
            assert!(features.contains(off), "{host} {interface}: {features}");
        }
    }
    let refused = TestLab::new("plain-xdp").call("up", &["--hook", "xdp", "--offloads", "off"]);
    assert!(
        said(&refused).contains("hint: --hook tc"),
        "{}",
        said(&refused)
    );
}

#[test]
fn for_xdp_every_end_of_every_cable_finishes_its_packets_itself() {
    let lab = TestLab::new("xdp");
    assert!(lab.call("up", &["--hook", "xdp"]).status.success());
    for (host, interface) in [
        ("client", "eth0"),
        ("rs1", "eth0"),
        ("segments", "rs1.eth0"),
        ("segments", "router.eth1"),
    ] {
        let features = said(&lab.call("exec", &[host, "ethtool", "-k", interface]));
        assert!(
            features.contains("tx-checksumming: off"),
            "{host} {interface}: {features}"
        );
        assert!(
            features.contains("generic-receive-offload: on"),
            "{host} {interface}: {features}"
        );
    }
}

#[test]
fn for_tc_offloads_stay_as_the_system_sets_them() {
    let lab = TestLab::new("tc");
    assert!(lab.call("up", &["--hook", "tc"]).status.success());
    let features = said(&lab.call("exec", &["client", "ethtool", "-k", "eth0"]));
    assert!(features.contains("tx-checksumming: on"), "{features}");
}

#[test]
fn a_command_that_the_lab_file_has_wrong_is_named_with_its_host() {
    let lab = TestLab::changed("route", |text| {
        text.replacen(
            "gateway = \"192.168.100.17\"",
            "routes = [\"10.0.0.0/8 via 192.168.77.1\"]",
            1,
        )
    });
    let output = lab.call("run", &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("`ip route add 10.0.0.0/8 via 192.168.77.1` failed on rs1: "),
        "{said}"
    );
    assert_eq!(lab.left(), Vec::<String>::new());
}

/// The report of a run with `--json`.
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}
