//! Called as `keepalived`: its options, as keepalived(8) has them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, umask};

use super::{ERRORS, FILE, FileOptions, Parts, read};
use crate::cli::{self, Command};
use crate::serve;
use crate::serve::log::{LogTo, start_as};

/// The name that this is called by.
const NAME: &str = "keepalived";
const PID_FILE: &str = "/run/keepalived.pid";
/// syslog's facility `daemon`, and the first of `local0` to `local7`.
const DAEMON: u8 = 3;
const LOCAL0: u8 = 16;
const USER: u8 = 1;

/// Load balancing and high availability as keepalived does it, by xvs
#[derive(Debug, Parser)]
#[command(name = NAME, disable_version_flag = true)]
struct Options {
    /// Use this configuration file
    #[arg(short = 'f', long = "use-file", value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Only virtual routers (and BFD)
    #[arg(short = 'P', long)]
    vrrp: bool,
    /// Only virtual servers and their checks (and BFD)
    #[arg(short = 'C', long)]
    check: bool,
    /// No BFD
    #[arg(short = 'B', long = "no_bfd")]
    no_bfd: bool,
    /// Log to standard error too
    #[arg(short = 'l', long)]
    log_console: bool,
    /// syslog's facility: 0 to 7, local0 to local7, user or daemon
    #[arg(short = 'S', long, value_name = "FACILITY", value_parser = facility, default_value = "daemon")]
    log_facility: u8,
    /// Log to this file too
    #[arg(short = 'g', long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Do not log to syslog
    #[arg(short = 'G', long)]
    no_syslog: bool,
    /// Stay in the foreground
    #[arg(short = 'n', long)]
    dont_fork: bool,
    /// Log the configuration with every default
    #[arg(short = 'd', long)]
    dump_conf: bool,
    /// Where the process's number is written
    #[arg(short = 'p', long, value_name = "FILE", default_value = PID_FILE)]
    pid: PathBuf,
    /// Run in this network namespace
    #[arg(short = 's', long, value_name = "NAME")]
    namespace: Option<String>,
    /// What `@' conditions in the file name, instead of the host's name up to its first dot
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,
    /// The mode that new files are made without, as in 022
    #[arg(short = 'u', long, value_name = "NUMBER", value_parser = mode)]
    umask: Option<Mode>,
    /// Say what is wrong with the configuration, on standard error or into a file, and end with 0 or 5
    #[arg(short = 't', long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    config_test: Option<PathBuf>,
    /// Print the number of the signal for STOP, RELOAD, DATA or STATS
    #[arg(long, value_name = "SIGFUNC")]
    signum: Option<String>,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
    #[command(flatten)]
    without_effect: WithoutEffect,
}

/// Options of keepalived that mean nothing here.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Without effect; why is told")]
struct WithoutEffect {
    #[arg(long)]
    all: bool,
    #[arg(short = 'D', long)]
    log_detail: bool,
    #[arg(long)]
    flush_log_file: bool,
    #[arg(short = 'X', long)]
    release_vips: bool,
    #[arg(short = 'V', long)]
    dont_release_vrrp: bool,
    #[arg(short = 'I', long)]
    dont_release_ipvs: bool,
    #[arg(short = 'R', long)]
    dont_respawn: bool,
    #[arg(short = 'r', long = "vrrp_pid", value_name = "FILE")]
    vrrp_pid: Option<String>,
    #[arg(short = 'c', long = "checkers_pid", value_name = "FILE")]
    checkers_pid: Option<String>,
    #[arg(short = 'b', long = "bfd_pid", value_name = "FILE")]
    bfd_pid: Option<String>,
    #[arg(short = 'T', long)]
    genhash: bool,
    #[arg(short = 'a', long)]
    address_monitoring: bool,
    #[arg(short = 'e', long)]
    all_config: bool,
    #[arg(short = 'x', long)]
    snmp: bool,
    #[arg(short = 'A', long, value_name = "FILE")]
    snmp_agent_socket: Option<String>,
    #[arg(short = 'm', long)]
    core_dump: bool,
    #[arg(short = 'M', long, value_name = "PATTERN", num_args = 0..=1, require_equals = true, default_missing_value = "core")]
    core_dump_pattern: Option<String>,
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    perf: Option<String>,
    #[arg(long, value_name = "OPTIONS", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    debug: Option<String>,
    #[arg(long)]
    no_mem_check: bool,
}

impl WithoutEffect {
    /// Each that was given and would have changed something, with why it does not.
    fn reasons(&self) -> Vec<(&'static str, &'static str)> {
        const ONE: &str = "there is one process, whose number is in the file of --pid";
        const CORES: &str = "set LimitCORE= in the unit";
        const SNMP: &str = "there is no SNMP agent: `xvs serve --metrics-listen' serves metrics";
        [
            (
                self.release_vips,
                "--release-vips",
                "a virtual router that ends always releases what it holds",
            ),
            (
                self.dont_release_vrrp,
                "--dont-release-vrrp",
                "addresses of a router that has ended would be on two hosts",
            ),
            (
                self.dont_respawn,
                "--dont-respawn",
                "there is one process, and the service manager looks after it",
            ),
            (self.vrrp_pid.is_some(), "--vrrp_pid", ONE),
            (self.checkers_pid.is_some(), "--checkers_pid", ONE),
            (self.bfd_pid.is_some(), "--bfd_pid", ONE),
            (
                self.address_monitoring,
                "--address-monitoring",
                "`ip monitor address' shows them",
            ),
            (self.snmp, "--snmp", SNMP),
            (
                self.snmp_agent_socket.is_some(),
                "--snmp-agent-socket",
                SNMP,
            ),
            (self.core_dump, "--core-dump", CORES),
            (
                self.core_dump_pattern.is_some(),
                "--core-dump-pattern",
                CORES,
            ),
            (
                self.perf.is_some(),
                "--perf",
                "run `perf record -p' with its number",
            ),
            (self.debug.is_some(), "--debug", "set RUST_LOG=debug"),
        ]
        .into_iter()
        .filter_map(|(is_given, option, why)| is_given.then_some((option, why)))
        .collect()
    }
}

fn facility(word: &str) -> Result<u8, String> {
    match word {
        "daemon" => Ok(DAEMON),
        "user" => Ok(USER),
        word => word
            .strip_prefix("local")
            .unwrap_or(word)
            .parse()
            .ok()
            .filter(|number| *number < 8)
            .map(|number: u8| LOCAL0 + number)
            .ok_or_else(|| "choose 0 to 7, local0 to local7, user or daemon".to_owned()),
    }
}

fn mode(word: &str) -> Result<Mode, String> {
    u32::from_str_radix(word, 8)
        .ok()
        .and_then(Mode::from_bits)
        .ok_or_else(|| "write an octal number, as in 022".to_owned())
}

/// Whether a program's path ends in keepalived's name.
pub fn is_called(path: &str) -> bool {
    path.rsplit('/').next() == Some(NAME)
}

/// Does what keepalived would.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse_from(args);
    if options.version {
        println!(
            "Keepalived's configuration by xvs v{}",
            env!("CARGO_PKG_VERSION")
        );
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(function) = &options.signum {
        println!("{}", signal_number(function)?);
        return Ok(ExitCode::SUCCESS);
    }
    if options.without_effect.genhash {
        bail!("genhash is not part of xvs\nhint: `curl -s URL | md5sum' prints the same digest");
    }
    for (option, why) in options.without_effect.reasons() {
        eprintln!("{NAME}: {option} has no effect: {why}");
    }
    if let Some(to) = &options.config_test {
        return test(&options, to);
    }
    run(options)
}

fn signal_number(function: &str) -> Result<i32> {
    use nix::sys::signal::Signal;
    let signal = match function {
        "STOP" => Signal::SIGTERM,
        "RELOAD" => Signal::SIGHUP,
        "DATA" => Signal::SIGUSR1,
        "STATS" => Signal::SIGUSR2,
        other => bail!(
            "Unknown sigfunc {other}\nhint: STOP, RELOAD, DATA and STATS are known; `xvs health --json', \
             `xvs vrrp --json' and `xvs status --json' print JSON"
        ),
    };
    Ok(signal as i32)
}

impl Options {
    fn file_options(&self) -> FileOptions {
        // Either of the two alone leaves the other out, as in keepalived.
        let both = self.vrrp == self.check;
        FileOptions {
            file: self.file.clone(),
            config_id: self.config_id.clone(),
            parts: Parts {
                vrrp: both || self.vrrp,
                checks: both || self.check,
                bfd: !self.no_bfd,
            },
        }
    }
}

/// `--config-test`.
fn test(options: &Options, to: &Path) -> Result<ExitCode> {
    let told = match read(&options.file_options()) {
        Ok(reading) => (reading.rendered(false), reading.has_errors()),
        // keepalived takes a file that is not there for an empty one.
        Err(error) => (format!("{error:#}\n"), true),
    };
    let (text, has_errors) = told;
    if to == Path::new("-") {
        eprint!("{text}");
    } else {
        std::fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(match has_errors {
        true => ExitCode::from(ERRORS),
        false => ExitCode::SUCCESS,
    })
}

/// Runs the daemon.
fn run(options: Options) -> Result<ExitCode> {
    if let Some(name) = &options.namespace {
        enter(name)?;
    }
    if let Some(mode) = options.umask {
        umask(mode);
    }
    let file = std::path::absolute(&options.file)?;
    let Command::Serve(mut served) = cli::try_parse(["xvs", "serve"])? else {
        bail!("`xvs serve' is no command");
    };
    let own = options.file_options();
    served.file = Some(file);
    served.config_id = own.config_id;
    served.parts = own.parts;
    served.dump = options.dump_conf;
    let pid_file = std::path::absolute(&options.pid)?;
    if !options.dont_fork {
        // What is wrong with the file is told where somebody sees it.
        serve::check_file(&served)?;
        nix::unistd::daemon(false, false).context("cannot go to the background")?;
    }
    start_as(
        NAME,
        &LogTo {
            console: options.log_console,
            facility: (!options.no_syslog).then_some(options.log_facility),
            file: options.log_file,
        },
    )?;
    std::fs::write(&pid_file, format!("{}\n", std::process::id()))
        .with_context(|| format!("cannot write {}", pid_file.display()))?;
    let ended = serve::run(*served);
    // Whoever removed it before did no harm.
    let _gone = std::fs::remove_file(&pid_file);
    // There is nobody at a terminal in the background.
    ended.inspect_err(|error| tracing::error!("{error:#}"))
}

/// Goes into a network namespace that `ip netns` made.
fn enter(name: &str) -> Result<()> {
    let path = Path::new("/run/netns").join(name);
    let explained = || anyhow!("cannot enter the network namespace {name}\nhint: `ip netns list'");
    let namespace = File::open(path).map_err(|error| explained().context(error))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| explained().context(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Options {
        Options::parse_from(std::iter::once(&NAME).chain(words))
    }

    #[test]
    fn every_option_of_keepalived_is_known_by_both_its_names() {
        // Of keepalived(8), SYNOPSIS.
        let flags = "-P --vrrp -C --check -B --no_bfd --all -l --log-console -D --log-detail \
            --flush-log-file -G --no-syslog -X --release-vips -V --dont-release-vrrp -I \
            --dont-release-ipvs -R --dont-respawn -n --dont-fork -d --dump-conf -T --genhash -a \
            --address-monitoring -e --all-config -x --snmp -m --core-dump -M --core-dump-pattern \
            --core-dump-pattern=core -t --config-test --config-test=/tmp/log --perf --perf=all --debug \
            --debug=D --no-mem-check -v --version";
        for flag in flags.split_whitespace() {
            options(&[flag]);
        }
        let valued = "-f --use-file -S --log-facility -g --log-file -p --pid -r --vrrp_pid -c \
            --checkers_pid -b --bfd_pid -s --namespace -i --config-id -A --snmp-agent-socket -u \
            --umask --signum";
        for option in valued.split_whitespace() {
            options(&[option, "5"]);
        }
    }

    #[test]
    fn either_part_alone_leaves_the_other_out() {
        let parts = |words: &[&str]| {
            let Parts { vrrp, checks, bfd } = options(words).file_options().parts;
            (vrrp, checks, bfd)
        };
        assert_eq!(parts(&[]), (true, true, true));
        assert_eq!(parts(&["-P"]), (true, false, true));
        assert_eq!(parts(&["-C", "-B"]), (false, true, false));
        assert_eq!(parts(&["-P", "-C"]), (true, true, true));
    }

    #[test]
    fn facilities_have_syslogs_numbers() {
        let facility = |word| options(&["-S", word]).log_facility;
        assert_eq!(facility("daemon"), 3);
        assert_eq!(facility("user"), 1);
        assert_eq!((facility("0"), facility("local7")), (16, 23));
    }

    /// What keepalived 2.2.7 prints.
    #[test]
    fn signals_have_the_numbers_that_keepalived_prints() {
        let numbers = ["STOP", "RELOAD", "DATA", "STATS"].map(|name| signal_number(name).unwrap());
        assert_eq!(numbers, [15, 1, 10, 12]);
    }
}
