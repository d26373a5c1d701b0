//! Compiles the BPF programs in this folder, for the build scripts of the crates that load them.
//!
//! They are a workspace of their own, since they need another compiler: one that can build `core` for BPF, and a
//! linker of the same LLVM. `./x build` finds or installs the two and leaves them in `.tools/bpf`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "bpfel-unknown-none";

/// The crates that are compiled into the BPF programs.
const SHARED: [&str; 7] = [
    "abi",
    "cell",
    "wire",
    "conntable",
    "sched",
    "forward",
    "decap",
];

/// Compiles `program` and hands the path of its object to the crate as the variable `variable_name`.
pub fn build(program: &str, variable_name: &str) {
    let root = project();
    let programs = root.join("ebpf");
    let tools = root.join(".tools/bpf");
    watch(&root, &programs, &tools);

    for tool in ["rustc", "bpf-linker"] {
        if !tools.join(tool).exists() {
            fail(
                &format!("no {tool} for BPF in {}", tools.display()),
                "run ./x build, which installs it",
            );
        }
    }
    let target_dir = variable("OUT_DIR").join("ebpf");
    match compile(program, &programs, &tools, &target_dir).status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(
            &format!("the BPF programs do not compile ({status})"),
            "see the compiler's messages above",
        ),
        Err(error) => fail(&format!("cargo does not start: {error}"), "run ./x build"),
    }
    let object = target_dir.join(TARGET).join("release").join(program);
    println!("cargo::rustc-env={variable_name}={}", object.display());
}

/// The command that compiles the programs: stable cargo, driving the BPF compiler.
fn compile(program: &str, programs: &Path, tools: &Path, target_dir: &Path) -> Command {
    let mut command = Command::new(variable("CARGO"));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(concerns_outer_build) {
            command.env_remove(name);
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(
        [tools.to_owned()]
            .into_iter()
            .chain(env::split_paths(&path)),
    );
    command
        .current_dir(programs)
        .env(
            "PATH",
            path.expect(
                "a PATH split at colons joins again, and .tools/bpf has none: cargo rejects them",
            ),
        )
        .env("RUSTC", tools.join("rustc"))
        // `-Z build-std` is a nightly's; a released compiler offers it under this variable.
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "build",
            "--quiet",
            "--release",
            "--bin",
            program,
            "--target",
            TARGET,
            "-Z",
            "build-std=core",
        ])
        .arg("--target-dir")
        .arg(target_dir);
    command
}

/// Whether a variable describes the build that this script is part of, and would disturb the one it starts.
///
/// The job server, the cargo home and the settings of the registry stay.
fn concerns_outer_build(name: &str) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "RUSTUP_HOME",
    ];
    let ours = [
        "CARGO",
        "RUST",
        "CLIPPY_",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
    ];
    ours.iter().any(|prefix| name.starts_with(prefix))
        && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

/// Compile again when these change, and only then.
fn watch(root: &Path, programs: &Path, tools: &Path) {
    let own = [
        "src",
        "Cargo.toml",
        "Cargo.lock",
        "compile.rs",
        ".cargo/config.toml",
    ]
    .map(|name| programs.join(name));
    let shared = SHARED.iter().flat_map(|name| {
        let folder = root.join("crates").join(name);
        [folder.join("src"), folder.join("Cargo.toml")]
    });
    let tools = ["rustc", "bpf-linker"].map(|name| tools.join(name));
    for path in own.into_iter().chain(shared).chain(tools) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}

fn project() -> PathBuf {
    let folder = variable("CARGO_MANIFEST_DIR");
    folder
        .ancestors()
        .nth(2)
        .expect("this crate lies in crates")
        .to_owned()
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name)
        .expect("cargo sets it for build scripts")
        .into()
}

fn fail(what: &str, remedy: &str) -> ! {
    println!("cargo::error={what}");
    println!("cargo::error=hint: {remedy}");
    exit(1)
}
