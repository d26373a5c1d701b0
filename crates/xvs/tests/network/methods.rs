//! 1 MiB each way by every forwarding method, as the lab `methods` has it, whatever the network cards do.

use std::fs;
use std::path::Path;

use std::process::Command;

use crate::support::{Said, XVS, said};

/// Runs the lab in both families, as a lab of another name: tests run beside each other.
fn transfer(name: &str, arguments: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/methods.toml");
    let text = fs::read_to_string(file).unwrap();
    let own = format!("name = \"methods-{name}\"");
    let text = text.replacen("name = \"methods\"", &own, 1);
    assert!(text.contains(&own));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("methods.toml");
    fs::write(&path, text).unwrap();
    for family in ["", "--ipv6"] {
        let words = format!("{family} {arguments}");
        let mut lab = Command::new(XVS);
        lab.args(["lab", "run"]).arg(&path);
        let Said { code, out, err } = said(lab.args(words.split_whitespace()));
        assert_eq!(code, Some(0), "{out}{err}");
    }
}

#[test]
fn a_mebibyte_passes_each_way_by_every_method_on_xdp() {
    transfer("xdp", "--hook xdp");
}

#[test]
fn a_mebibyte_passes_each_way_by_every_method_with_the_systems_offloads() {
    transfer("system", "--hook tc --offloads system");
}

/// Packets larger than a wire takes are dropped there.
#[test]
fn a_mebibyte_passes_each_way_by_every_method_where_packets_are_cut_and_joined_in_software() {
    transfer("software", "--hook tc --offloads software");
}

#[test]
fn a_mebibyte_passes_each_way_by_every_method_without_offloads() {
    transfer("off", "--hook tc --offloads off");
}
