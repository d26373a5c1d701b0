//! `xvs install`: the program, its manual, completions and units into the system, and ipvsadm and
//! keepalived beside the distribution's.

mod alternatives;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap_complete::Shell;

use crate::manual::{self, Page, Program};
use crate::output;

/// The names that the program goes by beside its own.
const PROGRAMS: [&str; 3] = ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"];
/// One more, which is no tool but a daemon.
const KEEPALIVED: &str = "keepalived";
/// Where they are, for whoever chooses between these and the distribution's.
const LIBRARY: &str = "usr/lib/xvs";
const BINARY: &str = "usr/bin/xvs";
const MANUAL: &str = "usr/share/man";
const UNITS: &str = "usr/lib/systemd/system";
/// The director by its rules, and the one by keepalived's configuration file.
const UNIT: &str = include_str!("../../../packaging/xvs.service");
const UNIT_OF_FILE: &str = include_str!("../../../packaging/xvs-keepalived.service");

/// Where to, or whether to take it away.
#[derive(Debug, Args)]
pub struct InstallOptions {
    /// The root of the system: that of a package, or of another system than this
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
    /// Take away what was installed. What runs goes on
    #[arg(long)]
    remove: bool,
}

/// Installs, or removes.
pub fn main(options: &InstallOptions) -> Result<ExitCode> {
    let root = &options.root;
    let files = files()?;
    let chosen = alternatives::are_there();
    if options.remove {
        if chosen {
            alternatives::withdraw(root)?;
        }
        for file in &files {
            file.remove(root)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    for file in &files {
        file.install(root)?;
    }
    if chosen {
        alternatives::offer(root)?;
        output::text(
            "`ipvsadm' is that of xvs; `update-alternatives --config ipvsadm' chooses another\n\
             `keepalived' is Debian's where that is installed; `update-alternatives --config keepalived' chooses\n",
        )?;
    } else {
        output::text(format_args!(
            "`ipvsadm' and `keepalived' are what they were: this system has no update-alternatives \
             and dpkg-divert\n\
             hint: link /usr/sbin/ipvsadm to /{LIBRARY}/ipvsadm, or put /{LIBRARY} first in PATH\n"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file, by its path below the root.
struct Installed {
    path: PathBuf,
    content: Content,
}

enum Content {
    /// This program.
    Itself,
    /// A link to the program.
    Link,
    /// A text.
    Text(Vec<u8>),
    /// A text, compressed as the manual's pages are.
    Compressed(Vec<u8>),
}

/// Everything that is installed.
fn files() -> Result<Vec<Installed>> {
    let file = |path: PathBuf, content| Installed { path, content };
    let mut files = vec![file(BINARY.into(), Content::Itself)];
    for (name, text) in [("xvs", UNIT), ("xvs-keepalived", UNIT_OF_FILE)] {
        let path = Path::new(UNITS).join(format!("{name}.service"));
        files.push(file(path, Content::Text(text.into())));
    }
    for name in PROGRAMS.into_iter().chain([KEEPALIVED]) {
        files.push(file(Path::new(LIBRARY).join(name), Content::Link));
    }
    for page in manual::pages()? {
        let path = match page.section {
            // The distribution has pages of these names.
            8 => Path::new(LIBRARY).join(compressed(&page)),
            section => Path::new(MANUAL)
                .join(format!("man{section}"))
                .join(compressed(&page)),
        };
        files.push(file(path, Content::Compressed(page.text)));
    }
    for (program, name) in [(Program::Xvs, "xvs"), (Program::Ipvsadm, "ipvsadm")] {
        for (shell, path) in [
            (Shell::Bash, format!("bash-completion/completions/{name}")),
            (Shell::Zsh, format!("zsh/vendor-completions/_{name}")),
            (
                Shell::Fish,
                format!("fish/vendor_completions.d/{name}.fish"),
            ),
        ] {
            let text = manual::completion_text(program, shell);
            files.push(file(Path::new("usr/share").join(path), Content::Text(text)));
        }
    }
    Ok(files)
}

/// The name of a page's file.
fn compressed(page: &Page) -> String {
    format!("{}.gz", page.file())
}

impl Installed {
    fn install(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        let cannot = || format!("cannot write {}\nhint: run as root", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        // In place of what is there, at once: it may be running.
        let mut new = path.clone().into_os_string();
        new.push(".xvs-new");
        let new = PathBuf::from(new);
        remove_file(&new).with_context(cannot)?;
        let mode = match &self.content {
            Content::Itself => {
                let this = std::env::current_exe().context("this program's file is not known")?;
                fs::copy(this, &new).map(|_| Some(0o755))
            }
            Content::Link => symlink("../../bin/xvs", &new).map(|()| None),
            Content::Text(text) => fs::write(&new, text).map(|()| Some(0o644)),
            Content::Compressed(text) => fs::write(&new, gzip(text)?).map(|()| Some(0o644)),
        }
        .with_context(cannot)?;
        if let Some(mode) = mode {
            fs::set_permissions(&new, Permissions::from_mode(mode)).with_context(cannot)?;
        }
        fs::rename(&new, &path).with_context(cannot)
    }

    /// Removes the file, and the folders that are empty then.
    fn remove(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        remove_file(&path)
            .with_context(|| format!("cannot remove {}\nhint: run as root", path.display()))?;
        let folders = self.path.ancestors().skip(1);
        for folder in folders.filter(|folder| folder.as_os_str() != "") {
            // One that is not empty stays, and those above it.
            if fs::remove_dir(root.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .arg("-9n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip cannot be run, which the manual's pages need")?;
    if let Some(mut input) = gzip.stdin.take() {
        // A page is smaller than what gzip reads before it writes.
        input.write_all(text).context("gzip does not read")?;
    }
    let output = gzip.wait_with_output().context("gzip")?;
    if !output.status.success() {
        bail!("gzip ended with {}", output.status);
    }
    Ok(output.stdout)
}
