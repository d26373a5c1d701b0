//! What the machine boots from: files under .tools/oracle, which git ignores.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{Program, root};

/// Where everything of the machine's is, relative to the project's root.
const FOLDER: &str = ".tools/oracle";

/// A userland and a kernel.
#[derive(Debug)]
pub struct Image {
    kernel: String,
}

impl Image {
    /// Makes what is not there yet. With `fresh`, everything.
    pub fn build(kernel: &str, fresh: bool) -> Result<Self> {
        if fresh && folder().exists() {
            fs::remove_dir_all(folder()).context("the old machine cannot be removed")?;
        }
        Program::new(root().join("oracle/image"))
            .args([FOLDER, kernel])
            .run()?;
        Ok(Self {
            kernel: kernel.to_owned(),
        })
    }

    /// The kernel's version.
    pub fn release(&self) -> Result<String> {
        let file = self.of_kernel("release");
        let release = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(release.trim().to_owned())
    }

    /// The disk with the userland.
    pub fn userland(&self) -> PathBuf {
        folder().join("userland.ext4")
    }

    /// A file that belongs to the kernel.
    pub fn of_kernel(&self, name: impl AsRef<Path>) -> PathBuf {
        folder().join(&self.kernel).join(name)
    }
}

/// Where everything of the machine's is.
pub fn folder() -> PathBuf {
    root().join(FOLDER)
}
