//! What the programs cost the kernel's verifier: a director loads them all when it starts.
//!
//! The number of instructions that the verifier follows depends on the programs, the compiler and
//! the kernel. `tests/golden/verified.txt` says what it was; with the same compiler and kernel it may
//! not grow by more than 3 %.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use aya::EbpfLoader;
use aya::programs::{Program, ProgramError, ProgramInfo};

/// What the verifier takes of one program at most (`BPF_COMPLEXITY_LIMIT_INSNS`).
const LIMIT: u32 = 1_000_000;
/// Set to record what is found.
const ACCEPT: &str = "XVS_ACCEPT";

#[test]
fn no_program_costs_the_verifier_more_than_was_recorded() {
    let found = verified();
    for (name, cost) in &found {
        assert!(
            cost * 10 < LIMIT * 9,
            "{name}: {cost} instructions are verified; older kernels verify more, and take {LIMIT}"
        );
    }
    let recorded = recorded_file();
    if env::var_os(ACCEPT).is_some() {
        fs::write(&recorded, record(&found)).unwrap();
        return;
    }
    let text = fs::read_to_string(&recorded).unwrap();
    if text.lines().next() != Some(surroundings().as_str()) {
        eprintln!("recorded with another kernel or compiler: nothing to compare");
        return;
    }
    let complaints = compare(&text, &found);
    assert!(
        complaints.is_empty(),
        "{complaints}to accept it: {ACCEPT}=1 cargo test -p xvs-plane-bpf --test verifier"
    );
}

/// Which programs cost more than they did by over 3 %, are new, or are gone.
fn compare(recorded: &str, found: &BTreeMap<String, u32>) -> String {
    let recorded: BTreeMap<&str, u32> = recorded
        .lines()
        .skip(1)
        .map(|line| {
            let (name, cost) = line.split_once(' ').expect("a name and a number");
            (name, cost.parse().expect("a number"))
        })
        .collect();
    let mut complaints = String::new();
    for (name, &cost) in found {
        match recorded.get(name.as_str()) {
            Some(&was) if u64::from(cost) * 100 <= u64::from(was) * 103 => {}
            Some(was) => complaints += &format!("{name}: {was} instructions, now {cost}\n"),
            None => complaints += &format!("{name}: new, {cost} instructions\n"),
        }
    }
    for name in recorded.keys().filter(|name| !found.contains_key(**name)) {
        complaints += &format!("{name}: gone\n");
    }
    complaints
}

#[test]
fn what_costs_more_is_told_and_what_costs_less_is_not() {
    let found = |cost| BTreeMap::from([("a".to_owned(), cost)]);
    let recorded = "Linux 0, rustc 0\na 100";
    assert_eq!(compare(recorded, &found(103)), "");
    assert_eq!(compare(recorded, &found(1)), "");
    assert_eq!(
        compare(recorded, &found(104)),
        "a: 100 instructions, now 104\n"
    );
    assert_eq!(
        compare("Linux 0, rustc 0\nb 1", &found(5)),
        "a: new, 5 instructions\nb: gone\n"
    );
}

/// Loads every program, and asks the kernel.
fn verified() -> BTreeMap<String, u32> {
    let bytes = aya::include_bytes_aligned!(env!("XVS_BPF_OBJECT"));
    let mut object = EbpfLoader::new()
        .load(bytes)
        .expect("the maps can be made; tests of them need root");
    object
        .programs_mut()
        .map(|(name, program)| {
            let info = load(program).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let cost = info.verified_instruction_count();
            (name.to_owned(), cost.expect("Linux 5.16 and later tell it"))
        })
        .collect()
}

fn load(program: &mut Program) -> Result<ProgramInfo, ProgramError> {
    match program {
        Program::Xdp(program) => program.load().and_then(|()| program.info()),
        Program::SchedClassifier(program) => program.load().and_then(|()| program.info()),
        Program::CgroupSockAddr(program) => program.load().and_then(|()| program.info()),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn record(found: &BTreeMap<String, u32>) -> String {
    let lines = found.iter().map(|(name, cost)| format!("{name} {cost}\n"));
    surroundings() + "\n" + &lines.collect::<String>()
}

/// The kernel's version, its patch level apart, and the compiler's.
fn surroundings() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux has it");
    let version: Vec<&str> = kernel.split('.').take(2).collect();
    let compiler = package().join("../../.tools/bpf/rustc");
    let compiler = Command::new(compiler).arg("--version").output();
    let said = compiler.expect("it has compiled the programs").stdout;
    let compiler = String::from_utf8_lossy(&said);
    format!("Linux {}, {}", version.join("."), compiler.trim())
}

fn recorded_file() -> PathBuf {
    package().join("tests/golden/verified.txt")
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
