//! Options of `xvs serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::{Args, ValueEnum};
use control::Sizes;

use crate::keepalived::Parts;
use crate::place;

/// Where the configuration for boot is looked for, in the format of ipvsadm-save.
pub const RULES: &str = "/etc/xvs/rules";

/// How to run the daemon.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Take packets on this interface; may be given several times, also for interfaces that are
    /// not there yet. Without it, on those that routes to virtual services, destinations and
    /// clients lead through
    #[arg(long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// Where to take packets: auto, xdp, xdp-generic or tc; for one interface as NAME=HOOK
    #[arg(long = "hook", value_name = "[NAME=]HOOK", default_value = "auto")]
    pub hooks: Vec<HookOption>,
    /// How many connections fit, 1024 to 134217728; rounded up to a multiple of 32
    #[arg(long, value_name = "NUMBER", default_value_t = Sizes::defaults(1).connections)]
    pub connections: u32,
    /// How many virtual services fit
    #[arg(long, value_name = "NUMBER", default_value_t = Sizes::defaults(1).services)]
    pub max_services: u32,
    /// How many destinations fit, of all services together
    #[arg(long, value_name = "NUMBER", default_value_t = Sizes::defaults(1).destinations)]
    pub max_destinations: u32,
    /// Where state is kept, in a folder of its own for each network namespace
    #[arg(long, value_name = "FOLDER", default_value = place::DEFAULT)]
    pub state_dir: PathBuf,
    /// Configuration to begin with where there is no state, as after boot: a file in the format of
    /// ipvsadm-save, written by `xvs config save'
    #[arg(long, value_name = "FILE", default_value = RULES)]
    pub rules: PathBuf,
    /// Configuration in keepalived's language: its virtual servers are made and its checks are run.
    /// The file is the whole configuration then: services that it does not name are removed. SIGHUP
    /// and `xvs reload' read it again
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        conflicts_with = "stop_forwarding"
    )]
    pub file: Option<PathBuf>,
    /// What `@' conditions in the file name, instead of the host's name up to its first dot
    #[arg(short = 'i', long, value_name = "ID", requires = "file")]
    pub config_id: Option<String>,
    /// Which parts of the file are used.
    #[arg(skip)]
    pub parts: Parts,
    /// The file's meaning is logged.
    #[arg(skip)]
    pub dump: bool,
    /// Group whose members may configure the director, besides root
    #[arg(long, value_name = "NAME")]
    pub socket_group: Option<String>,
    /// Serve Prometheus' metrics on this TCP address too, besides the control socket
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// Forget all connections and make the tables anew, with the sizes given here
    #[arg(long, conflicts_with = "stop_forwarding")]
    pub fresh: bool,
    /// End the daemon, detach the programs and remove the tables; then exit
    #[arg(long)]
    pub stop_forwarding: bool,
    /// How to write the log
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl ServeOptions {
    /// The sizes that were asked for.
    ///
    /// # Errors
    /// When one is out of its range.
    pub fn sizes(&self, processors: u32) -> Result<Sizes> {
        let Self {
            connections,
            max_services,
            max_destinations,
            ..
        } = *self;
        Ok(Sizes::chosen(
            connections,
            max_services,
            max_destinations,
            processors,
        )?)
    }

    /// What was asked for an interface: the last option that names it, else the last that names
    /// none.
    pub fn hook_for(&self, interface: &str) -> Requested {
        let own = self
            .hooks
            .iter()
            .rfind(|option| option.interface.as_deref() == Some(interface));
        let general = || self.hooks.iter().rfind(|option| option.interface.is_none());
        own.or_else(general)
            .map_or(Requested::Auto, |option| option.hook)
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Where somebody wants packets to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Requested {
    /// Where it works best.
    Auto,
    /// XDP in the driver.
    Xdp,
    /// XDP in the kernel's generic receive path.
    XdpGeneric,
    /// TC ingress.
    Tc,
}

/// A `--hook` option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOption {
    interface: Option<String>,
    hook: Requested,
}

impl FromStr for HookOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (interface, hook) = match text.rsplit_once('=') {
            Some((name, hook)) => (Some(name.to_owned()), hook),
            None => (None, text),
        };
        let hook = Requested::from_str(hook, false)
            .map_err(|_| format!("`{hook}' is no hook: choose auto, xdp, xdp-generic or tc"))?;
        Ok(Self { interface, hook })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ServeOptions,
    }

    fn options(words: &[&str]) -> ServeOptions {
        Line::parse_from(std::iter::once(&"serve").chain(words)).options
    }

    #[test]
    fn a_hook_may_be_given_for_all_interfaces_and_for_one() {
        let options = options(&["--hook", "tc", "--hook", "eth1=xdp"]);
        assert_eq!(options.hook_for("eth0"), Requested::Tc);
        assert_eq!(options.hook_for("eth1"), Requested::Xdp);
    }

    #[test]
    fn without_a_hook_it_is_chosen_for_each_interface() {
        assert_eq!(options(&[]).hook_for("eth0"), Requested::Auto);
        assert_eq!(
            options(&["--hook", "eth1=xdp"]).hook_for("eth0"),
            Requested::Auto
        );
    }

    #[test]
    fn a_hook_that_is_none_is_refused_with_those_that_are() {
        let error = "eth0=dpdk".parse::<HookOption>().unwrap_err();
        assert!(error.contains("auto, xdp, xdp-generic or tc"), "{error}");
    }

    #[test]
    fn the_sizes_without_options_are_the_defaults() {
        assert_eq!(options(&[]).sizes(3).unwrap(), Sizes::defaults(3));
    }
}
