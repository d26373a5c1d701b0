//! What the programs cost the kernel's verifier: a director loads them all when it starts.
//!
//! The number of instructions that the verifier follows depends on the programs, the compiler and
//! the kernel. `tests/golden/verified.txt` says what it was; with the same compiler and kernel it may
//! not grow unnoticed.

mod stack;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use aya::EbpfLoader;
use aya::programs::{Program, ProgramError, ProgramInfo};
use costs::Costs;

/// What the verifier takes of one program at most (`BPF_COMPLEXITY_LIMIT_INSNS`).
const LIMIT: u64 = 1_000_000;

/// Bytes of stack that a program may take, with what it calls (`MAX_BPF_STACK`).
const STACK: u32 = 512;

#[test]
fn no_program_costs_the_verifier_more_than_was_recorded() {
    let found = verified();
    for (name, cost) in &found {
        // Linux 6.1 follows up to 2.3 times as many of some.
        assert!(
            cost * 2 < LIMIT,
            "{name}: {cost} instructions are verified; older kernels verify more, and take {LIMIT}"
        );
    }
    let recorded = package().join("tests/golden/verified.txt");
    let found = Costs {
        surroundings: surroundings(),
        numbers: found,
    };
    let known = Costs::read(&recorded);
    if known.is_ok_and(|known| known.surroundings != found.surroundings) && !costs::is_accepted() {
        eprintln!("recorded with another kernel or compiler: nothing to compare");
        return;
    }
    let held = found.hold(&recorded, "cargo test -p xvs-plane-bpf --test verifier");
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// Kernels before 6.6 count more stack than this one may: what it takes, they need not.
#[test]
fn no_program_needs_more_stack_than_the_oldest_kernels_give() {
    let bytes = aya::include_bytes_aligned!(env!("XVS_BPF_OBJECT"));
    let depths = stack::depths(bytes);
    assert!(depths["xvs_ingress"].0 > 100, "its frames were found");
    for (depth, way) in depths.values() {
        assert!(*depth <= STACK, "{depth} of {STACK} bytes: {way}");
    }
}

/// Loads every program, and asks the kernel.
fn verified() -> BTreeMap<String, u64> {
    let bytes = aya::include_bytes_aligned!(env!("XVS_BPF_OBJECT"));
    let mut object = EbpfLoader::new()
        .load(bytes)
        .expect("the maps can be made; tests of them need root");
    object
        .programs_mut()
        .map(|(name, program)| {
            let info = load(program).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let cost = info.verified_instruction_count();
            let cost = cost.expect("Linux 5.16 and later tell it");
            (name.to_owned(), cost.into())
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

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
