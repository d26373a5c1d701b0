//! Boots the machine, runs a script in it, and powers it off.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::Program;
use crate::oracle::accelerator::Accelerator;
use crate::oracle::image::{self, Image};

const QEMU: &str = "qemu-system-x86_64";
/// MiB.
const MEMORY: &str = "1536";
/// How often we look whether it has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// What the machine is booted for.
#[derive(Debug)]
pub struct Job {
    /// Runs in the machine, by bash, as root.
    pub script: PathBuf,
    /// Lie beside it.
    pub files: Vec<PathBuf>,
    /// The script's arguments.
    pub arguments: Vec<String>,
    /// Where what the script leaves in `$OUT` goes.
    pub out: Option<PathBuf>,
    /// How long all of it may take.
    pub patience: Duration,
    /// What starts the script.
    pub init: Init,
}

/// What starts the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// Almost nothing: it is the machine's only process.
    Script,
    /// systemd, of which it is a service.
    Systemd,
}

/// Where what the script prints goes.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// Our own standard output.
    Ours,
    /// A file.
    File(&'a Path),
}

/// Runs a script. Returns its exit code.
///
/// # Errors
/// When the machine does not boot, or does not come to the script's end in time.
pub fn run(image: &Image, accelerator: Accelerator, job: &Job, output: Output<'_>) -> Result<u8> {
    let shared = Shared::new(job)?;
    let mut command = Command::new(QEMU);
    command.args(accelerator.arguments().split(' '));
    command.args(hardware(image, job.init, &shared));
    command.stdin(Stdio::null());
    if let Output::File(path) = output {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        command.stderr(file.try_clone()?).stdout(file);
    }
    let mut qemu = command
        .spawn()
        .with_context(|| format!("{QEMU} does not start"))?;
    let ended = wait(&mut qemu, job.patience)?;
    shared.code(ended, job.patience)
}

/// Waits for the end; brings it about when it takes too long.
fn wait(qemu: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = qemu.try_wait()? {
            return Ok(Some(status));
        }
        sleep(GLANCE);
    }
    qemu.kill()?;
    qemu.wait()?;
    Ok(None)
}

/// QEMU's command line, the accelerator apart.
fn hardware(image: &Image, init: Init, shared: &Shared) -> Vec<String> {
    let disk = |number: u8, file: PathBuf| {
        let file = file.display();
        // Every boot begins with the same disk, and many machines can use it at once.
        let drive = format!("file={file},if=none,id=d{number},format=raw,snapshot=on,cache=unsafe");
        let device = format!("virtio-blk-pci,drive=d{number}");
        ["-drive".to_owned(), drive, "-device".to_owned(), device]
    };
    let folder = |tag: &str, rights: &str| {
        let path = shared.path(tag);
        let path = path.display();
        let folder = format!("local,id={tag},path={path},security_model=none{rights}");
        let device = format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}");
        ["-fsdev".to_owned(), folder, "-device".to_owned(), device]
    };
    let mut kernel =
        "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr audit=0".to_owned();
    if init == Init::Systemd {
        kernel.push_str(" oracle.init=systemd");
    }
    let console = format!("file:{}", shared.path("console").display());
    let fixed =
        "-machine q35 -nodefaults -no-user-config -display none -no-reboot -device virtio-rng-pci";
    let mut all: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    // The first serial line is the kernel's, the second the script's.
    all.extend(
        [
            "-m", MEMORY, "-serial", &console, "-serial", "stdio", "-append", &kernel,
        ]
        .map(str::to_owned),
    );
    for (option, file) in [("-kernel", "vmlinuz"), ("-initrd", "initrd")] {
        all.extend([
            option.to_owned(),
            image.of_kernel(file).display().to_string(),
        ]);
    }
    all.extend(disk(0, image.userland()));
    all.extend(disk(1, image.of_kernel("modules.ext4")));
    all.extend(folder("in", ",readonly=on"));
    all.extend(folder("out", ""));
    all
}

/// The folder that a machine shares with the host while it runs.
struct Shared {
    path: PathBuf,
    /// Where `out` is, when somebody wants it.
    out: Option<PathBuf>,
}

impl Shared {
    /// Lays out what goes into the machine.
    fn new(job: &Job) -> Result<Self> {
        let runs = image::folder().join("runs");
        remove_left(&runs);
        let path = runs.join(std::process::id().to_string());
        let out = match &job.out {
            Some(out) => {
                fs::create_dir_all(out).with_context(|| out.display().to_string())?;
                Some(out.canonicalize()?)
            }
            None => None,
        };
        let shared = Self { path, out };
        for folder in ["in", "out"] {
            fs::create_dir_all(shared.path(folder))
                .context("cannot make the folder shared with the machine")?;
        }
        let name = job.script.file_name().context("the script has no name")?;
        let files = std::iter::once(&job.script).chain(&job.files);
        let here = std::env::current_dir()?;
        Program::new("cp")
            .args(["-rL", "--"])
            .args(files.map(|file| here.join(file)))
            .args([shared.path("in")])
            .run()?;
        fs::write(shared.path("in/.script"), name.as_encoded_bytes())?;
        if !job.arguments.is_empty() {
            fs::write(
                shared.path("in/.arguments"),
                job.arguments.join("\0") + "\0",
            )?;
        }
        Ok(shared)
    }

    fn path(&self, name: &str) -> PathBuf {
        match (&self.out, name) {
            (Some(out), "out") => out.clone(),
            _ => self.path.join(name),
        }
    }

    /// The script's exit code, which it left when it ended.
    fn code(&self, ended: Option<ExitStatus>, patience: Duration) -> Result<u8> {
        let file = self.path("out").join(".code");
        if let Ok(code) = fs::read_to_string(&file) {
            fs::remove_file(file)?;
            return code
                .trim()
                .parse()
                .context("the script's exit code cannot be read");
        }
        let console = fs::read_to_string(self.path("console")).unwrap_or_default();
        let lines: Vec<&str> = console.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n");
        match ended {
            None => bail!(
                "the script did not end within {} s\n{last}\nhint: --timeout SECONDS",
                patience.as_secs()
            ),
            Some(status) => match status.signal() {
                Some(signal) => bail!("{QEMU} ended by signal {signal}\n{last}"),
                None => bail!("the machine ended before the script did ({status})\n{last}"),
            },
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _left = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of runs that were killed.
fn remove_left(runs: &Path) {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let is_left = |path: &PathBuf| {
        let owner = path.file_name().unwrap_or_default();
        !Path::new("/proc").join(owner).exists()
    };
    for path in entries.map(|entry| entry.path()).filter(is_left) {
        let _left = fs::remove_dir_all(path);
    }
}
