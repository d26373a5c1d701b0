//! The program in a system of its own, beside Debian's ipvsadm and keepalived. Needs root, dpkg's tools
//! and gzip.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const XVS: &str = env!("CARGO_BIN_EXE_xvs");
const PROGRAMS: [&str; 3] = ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"];

/// A system of its own, in which packages can be installed. Its /sbin is /usr/sbin.
struct System(TempDir);

impl System {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |below: &str| root.path().join(below);
        for folder in [
            "usr/sbin",
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "etc",
        ] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        symlink("usr/sbin", path("sbin")).unwrap();
        for file in ["status", "available"] {
            fs::write(path("var/lib/dpkg").join(file), "").unwrap();
        }
        Self(root)
    }

    /// Installs a package of ipvsadm, which has its programs in `folder`.
    fn package(&self, version: u32, folder: &str) {
        self.package_of("ipvsadm", &PROGRAMS, version, folder);
    }

    /// Installs a package with these programs in `folder`, and their pages.
    fn package_of(&self, package: &str, programs: &[&str], version: u32, folder: &str) {
        let content = tempfile::tempdir().unwrap();
        let path = |below: &str| content.path().join(below);
        let pages = "usr/share/man/man8";
        for folder in ["DEBIAN", folder, pages] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        let control = format!(
            "Package: {package}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
        );
        fs::write(path("DEBIAN/control"), control).unwrap();
        for name in programs {
            fs::write(
                path(folder).join(name),
                format!("Debian's {name} {version}"),
            )
            .unwrap();
            fs::write(path(pages).join(format!("{name}.8.gz")), "Debian's page").unwrap();
        }
        let file = path("package.deb");
        let mut build = Command::new("dpkg-deb");
        build.arg("--build").arg(content.path()).arg(&file);
        assert!(build.output().unwrap().status.success());
        self.run("dpkg", &["--install", file.to_str().unwrap()]);
    }

    /// What is run as each program: a package's version, or this program.
    fn chosen(&self, version: u32) -> bool {
        PROGRAMS.iter().all(|name| {
            let path = self.resolved(&format!("/usr/sbin/{name}"));
            let text = fs::read(self.0.path().join(&path[1..])).unwrap();
            text == format!("Debian's {name} {version}").into_bytes()
        })
    }

    fn install(&self, words: &[&str]) {
        self.run(XVS, &[&["install"], words].concat());
    }

    fn choose(&self, path: &str) {
        self.run("update-alternatives", &["--set", "ipvsadm", path]);
    }

    fn run(&self, program: &str, words: &[&str]) {
        let mut command = Command::new(program);
        let root = self.0.path().to_str().unwrap();
        // The verb of this program is before its options, that of the others behind.
        match program {
            XVS => command.args(words).args(["--root", root]),
            _ => command.args(["--root", root]).args(words),
        };
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {words:?}: {said}");
    }

    /// Where a path leads in this system, through links.
    fn resolved(&self, path: &str) -> String {
        let mut at = PathBuf::from(path);
        while let Ok(target) = fs::read_link(self.0.path().join(at.strip_prefix("/").unwrap())) {
            at = at.parent().unwrap().join(target);
        }
        at.display().to_string()
    }

    /// Everything in it but dpkg's own records.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in ["usr", "etc"] {
            walk(&self.0.path().join(folder), &mut files);
        }
        files
    }
}

fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            files.insert(
                path.clone(),
                fs::read_link(&path).unwrap().display().to_string().into(),
            );
        } else if path.is_dir() {
            walk(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

const OURS: &str = "/usr/lib/xvs/../../bin/xvs";

#[test]
fn debians_ipvsadm_and_ours_are_chosen_between_and_debians_is_back_afterwards() {
    let system = System::new();
    system.package(1, "sbin");
    let before = system.files();
    system.install(&[]);
    let installed = system.files();
    for name in PROGRAMS {
        assert_eq!(system.resolved(&format!("/usr/sbin/{name}")), OURS);
        let page = system.resolved(&format!("/usr/share/man/man8/{name}.8.gz"));
        assert_eq!(page, format!("/usr/lib/xvs/{name}.8.gz"));
    }
    for path in [
        "usr/bin/xvs",
        "usr/lib/systemd/system/xvs.service",
        "usr/lib/systemd/system/xvs-keepalived.service",
        "usr/share/man/man1/xvs-serve.1.gz",
        "usr/share/man/man5/xvs.conf.5.gz",
        "usr/share/bash-completion/completions/ipvsadm",
        "usr/share/zsh/vendor-completions/_xvs",
        "usr/share/fish/vendor_completions.d/ipvsadm.fish",
    ] {
        assert!(system.0.path().join(path).is_file(), "{path}");
    }
    system.choose("/usr/sbin/ipvsadm.debian-sbin");
    assert!(system.chosen(1));
    let page = system.resolved("/usr/share/man/man8/ipvsadm-save.8.gz");
    assert_eq!(page, "/usr/share/man/man8/ipvsadm-save.debian.8.gz");
    system.choose("/usr/lib/xvs/ipvsadm");

    system.install(&[]);
    assert_eq!(system.files(), installed, "a second time changes nothing");
    system.install(&["--remove"]);
    assert_eq!(system.files(), before);
}

#[test]
fn debians_package_comes_goes_and_is_upgraded_without_touching_ours() {
    let system = System::new();
    let is_ours = || system.resolved("/usr/sbin/ipvsadm") == OURS;
    system.install(&[]);
    system.package(1, "sbin");
    assert!(is_ours());
    system.package(2, "sbin");
    // From Debian 13 on.
    system.package(3, "usr/sbin");
    assert!(is_ours());
    system.install(&[]);
    system.choose("/usr/sbin/ipvsadm.debian");
    assert!(system.chosen(3));
    system.choose("/usr/lib/xvs/ipvsadm");
    system.run("dpkg", &["--remove", "ipvsadm"]);
    assert!(is_ours());
    system.package(4, "usr/sbin");
    system.install(&["--remove"]);
    assert!(system.chosen(4));
}

#[test]
fn debians_keepalived_stays_until_ours_is_chosen_and_is_back_afterwards() {
    let system = System::new();
    system.package_of("keepalived", &["keepalived"], 1, "usr/sbin");
    let before = system.files();
    let is = || system.resolved("/usr/sbin/keepalived");
    let choose = |path: &str| system.run("update-alternatives", &["--set", "keepalived", path]);
    system.install(&[]);
    assert_eq!(
        is(),
        "/usr/sbin/keepalived.debian",
        "a service goes on with it"
    );
    choose("/usr/lib/xvs/keepalived");
    assert_eq!(is(), OURS);
    system.install(&[]);
    system.package_of("keepalived", &["keepalived"], 2, "usr/sbin");
    assert_eq!(is(), OURS, "what was chosen stays");
    system.package_of("keepalived", &["keepalived"], 1, "usr/sbin");
    system.install(&["--remove"]);
    assert_eq!(system.files(), before);
}

#[test]
fn where_debians_keepalived_is_not_there_the_name_is_ours() {
    let system = System::new();
    system.install(&[]);
    assert_eq!(system.resolved("/usr/sbin/keepalived"), OURS);
    system.install(&["--remove"]);
    assert!(!system.0.path().join("usr/sbin/keepalived").is_symlink());
}

#[test]
fn what_was_never_installed_is_removed_without_harm() {
    let system = System::new();
    system.package(1, "sbin");
    let before = system.files();
    system.install(&["--remove"]);
    assert_eq!(system.files(), before);
}
