//! `./x lint`: formatting, clippy for every target, the cores' bans, and the text rules.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, root};
use crate::{map, text};

/// A check by its name.
type Check = (&'static str, fn() -> Result<()>);

/// Runs every check, also after one has failed, and says at the end which did.
pub fn all() -> Result<()> {
    let checks: [Check; 6] = [
        ("formatting", || cargo("fmt --all --check").run()),
        ("formatting of the BPF programs", || {
            cargo("fmt --check").folder("ebpf").run()
        }),
        ("clippy", clippy),
        ("clippy for BPF", clippy_bpf),
        ("bans of the cores", clippy_cores),
        ("text", text::check),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("x: {name}");
        if let Err(error) = check() {
            eprintln!("x: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    Ok(())
}

fn clippy() -> Result<()> {
    cargo("clippy --quiet --workspace --all-targets -- -D warnings").run()
}

/// Clippy on the BPF programs, for the target they are made for and by the compiler that makes them.
fn clippy_bpf() -> Result<()> {
    let compiler = bpf_compiler()?;
    let driver = compiler.with_file_name("clippy-driver");
    cargo("check --quiet --release --target bpfel-unknown-none -Z build-std=core")
        .folder("ebpf")
        .env("RUSTC", compiler)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC_WORKSPACE_WRAPPER", driver)
        // How `cargo clippy` itself hands its arguments to the driver.
        .env(
            "CLIPPY_ARGS",
            "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        )
        .run()
}

/// Clippy on the libraries of tiers 0 and 1 with bans of their own; their tests may read files.
fn clippy_cores() -> Result<()> {
    let cores = map::read()?.into_iter().filter(|entry| entry.tier <= 1);
    let packages = cores.flat_map(|entry| ["--package".to_owned(), entry.package()]);
    let bans = "-- -A clippy::all -D clippy::disallowed_methods -D clippy::disallowed_types";
    cargo("clippy --quiet --lib --target-dir target/cores")
        .args(packages)
        .args(bans.split(' '))
        .env("CLIPPY_CONF_DIR", root().join("xtask/cores"))
        .run()
}

/// The compiler behind the link that `./x` makes; clippy wants it by its own name.
fn bpf_compiler() -> Result<PathBuf> {
    let link = root().join(".tools/bpf/rustc");
    fs::canonicalize(&link).with_context(|| format!("{}: run ./x build first", link.display()))
}
