//! What the tests share.

pub mod director;
pub mod shell;
pub mod transcript;

/// Reads a file of what was taken from the real ipvsadm.
pub fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
