//! A lab of a test's own, so that tests run side by side.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The lab files, in which every test puts a name of its own.
const NFT_NAT: &str = include_str!("../labs/nft-nat.toml");
const NFT_DR: &str = include_str!("../labs/nft-dr.toml");

/// How long a test waits for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lab file under a name of its own. Whatever is left of the lab is removed with it.
pub struct TestLab {
    pub name: String,
    folder: tempfile::TempDir,
}

impl TestLab {
    /// The kernel's NAT between a client and real servers.
    pub fn new(name: &str) -> Self {
        Self::changed(name, |text| text)
    }

    /// The same with something changed in the text of its file.
    pub fn changed(name: &str, change: impl FnOnce(String) -> String) -> Self {
        let text = NFT_NAT.replace(
            "name = \"test-nft-nat\"",
            &format!("name = \"test-{name}\""),
        );
        Self::of(name, &change(text))
    }

    /// Frames forwarded by nftables to servers that share an address.
    pub fn dr(name: &str) -> Self {
        let text = NFT_DR.replace("name = \"test-nft-dr\"", &format!("name = \"test-{name}\""));
        Self::of(name, &text)
    }

    fn of(name: &str, text: &str) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test creates network namespaces, which only root may: run it as root"
        );
        let name = format!("test-{name}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lab.toml"), text).unwrap();
        Self { name, folder }
    }

    /// Path of the lab file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("lab.toml")
    }

    /// Runs `lab VERB FILE ARGUMENTS` to its end.
    pub fn call(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).output().unwrap()
    }

    /// Starts it and does not wait.
    pub fn start(&self, verb: &str, arguments: &[&str]) -> Child {
        let mut command = self.command(verb, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["lab", verb]).arg(self.file()).args(arguments);
        command
    }

    /// Names of its namespaces that are there.
    pub fn namespaces(&self) -> Vec<String> {
        let prefix = format!("xvs-{}-", self.name);
        std::fs::read_dir("/run/netns")
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }

    /// Numbers of its web servers' processes.
    pub fn servers(&self) -> Vec<String> {
        let inside = |name: &String| {
            let output = Command::new("ip").args(["netns", "pids", name]).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        // Commands of the lab's set-up come and go in the same namespaces.
        let serves = |pid: &String| {
            let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            arguments.is_ok_and(|arguments| arguments.contains("lab\0http\0"))
        };
        let text: Vec<String> = self.namespaces().iter().map(inside).collect();
        let pids = text.iter().flat_map(|text| text.split_whitespace());
        pids.map(str::to_owned).filter(serves).collect()
    }

    /// Waits until its web servers run.
    pub fn wait_for_servers(&self) -> Vec<String> {
        wait_until("the web servers run", || {
            let servers = self.servers();
            (servers.len() == 3).then_some(servers)
        })
    }

    /// What is left of it: namespaces, and files of its state.
    pub fn left(&self) -> Vec<String> {
        let mut left = self.namespaces();
        for file in [self.name.clone(), format!("{}.lock", self.name)] {
            let path = Path::new("/run/xvs/lab").join(file);
            if path.exists() {
                left.push(path.display().to_string());
            }
        }
        left
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        // A test that failed must not leave its lab to the next.
        let _ = self.command("down", &[]).output();
    }
}

/// Whether a process runs.
pub fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits for something that happens soon.
pub fn wait_until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The command line of the labs, which cargo builds beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/lab");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p xvs-lab --examples",
        program.display()
    );
    program
}

/// Both outputs of a program.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
