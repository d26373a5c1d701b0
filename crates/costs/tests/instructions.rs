//! What a packet costs: the instructions that the forwarding function takes for it, by case.
//!
//! callgrind counts them in a program that runs natively what BPF runs: the same on every machine
//! with the same compiler, to the instruction. `tests/golden/instructions.txt` has what they were.

use std::collections::BTreeMap;
use std::env::{self, consts::ARCH};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use costs::Costs;

/// What is counted, by callgrind's name of it.
const COUNTED: &str = "--toggle-collect=*walk::counted*";
const COMMAND: &str = "cargo test -p xvs-costs --test instructions";

#[test]
fn no_packet_takes_more_instructions_than_was_recorded() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/instructions.txt");
    let known = Costs::read(&recorded);
    if known.is_ok_and(|known| !known.surroundings.starts_with(ARCH)) && !costs::is_accepted() {
        eprintln!("recorded on another processor: nothing to compare");
        return;
    }
    let program = build();
    let cases = said(Command::new(&program).output());
    let numbers: BTreeMap<String, u64> = cases
        .lines()
        .map(|line| {
            let (packets, case) = line.split_once(' ').expect("a number and a name");
            let packets: u64 = packets.parse().expect("a number");
            let total = count(&program, case);
            (case.to_owned(), (total + packets / 2) / packets)
        })
        .collect();
    let found = Costs {
        surroundings: surroundings(),
        numbers,
    };
    let held = found.hold(&recorded, COMMAND);
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// Builds the program, always in the same way: with the profile of the workspace's manifest, for
/// the oldest processors, whatever the builder prefers otherwise. Beside the usual builds, for
/// which somebody else may hold the lock.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counted");
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars() {
        if name.starts_with("CARGO_PROFILE_") || name.starts_with("CARGO_BUILD_") {
            cargo.env_remove(name);
        }
    }
    cargo
        .args([
            "build",
            "--quiet",
            "--profile",
            "counted",
            "--bin",
            "xvs-costs",
        ])
        .args(["--package", "xvs-costs", "--target-dir"])
        .arg(&folder)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags());
    said(cargo.output());
    folder.join("counted/xvs-costs")
}

fn flags() -> &'static str {
    match ARCH {
        "x86_64" => "-Ctarget-cpu=x86-64",
        _ => "-Ctarget-cpu=generic",
    }
}

/// Instructions of all packets of a case.
fn count(program: &Path, case: &str) -> u64 {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", COUNTED])
        .arg(format!("--callgrind-out-file={}", data.display()))
        .arg(program)
        .arg(case);
    let output = valgrind
        .output()
        .expect("valgrind runs; ./x test installs it");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {told}");
    let words = told.lines().find_map(|line| line.split_once("Collected :"));
    let number = words.and_then(|(_, number)| number.trim().parse().ok());
    let number = number.unwrap_or_else(|| panic!("{case}: callgrind tells no number: {told}"));
    assert_ne!(number, 0, "{case}: callgrind has not found what to count");
    number
}

/// What they are counted for and with.
fn surroundings() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = said(Command::new(compiler).arg("--version").output());
    format!("{ARCH}, {}", version.trim())
}

fn said(output: std::io::Result<Output>) -> String {
    let output = output.expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("it prints text")
}
