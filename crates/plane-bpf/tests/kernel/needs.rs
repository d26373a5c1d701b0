//! Programs are there once something needs them, and from then on.

use std::fs;
use std::path::{Path, PathBuf};

use abi::{Needs, Stage};
use control::Plane as _;
use plane_bpf::Hook;

use crate::support::{Namespace, Root, adopt, create};
use crate::tracing::{all, trace};

const V6: Needs = Needs {
    v6: true,
    fullnat: false,
};

/// An IPv6 packet that concerns nobody.
const FRAME: [u8; 54] = {
    let mut frame = [0; 54];
    frame[12] = 0x86;
    frame[13] = 0xDD;
    frame[14] = 0x60;
    frame[20] = 59;
    frame
};

fn programs(root: &Root, state: &Path) -> PathBuf {
    let name = state.file_name().unwrap();
    root.pins().join(name).join("programs")
}

#[test]
fn programs_of_ipv6_are_there_once_it_is_needed_and_from_then_on() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let programs = programs(&root, &state);
    // The only one of them that is pinned.
    let is_there = || programs.join("xvs_connect6").exists();
    let plane = create(&state);
    assert!(!is_there());
    plane.prepare(V6).unwrap();
    assert!(is_there());
    drop(plane);
    adopt(&state);
    assert!(is_there());

    // As if they came from another object.
    fs::remove_dir_all(&programs).unwrap();
    fs::create_dir(&programs).unwrap();
    adopt(&state);
    assert!(is_there());
}

#[test]
fn what_comes_to_be_needed_while_somebody_traces_traces_too() {
    let (root, namespace) = (Root::new(), Namespace::new());
    let state = root.state(&namespace);
    let plane = create(&state);
    let (_tracing, mut records) = trace(&plane, &state);
    let mut passes_ipv6 = || {
        plane.run(Hook::Ingress, &FRAME, 1).unwrap();
        let record = all(&mut records).pop().unwrap();
        record.stages.load() & (1 << Stage::EnterV6 as u64) != 0
    };
    assert!(!passes_ipv6());
    plane.prepare(V6).unwrap();
    assert!(passes_ipv6());
}
