//! The command line.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::bench::BenchOptions;
use crate::config::ConfigCommand;
use crate::install::InstallOptions;
use crate::keepalived::FileOptions;
use crate::laddr::LaddrCommand;
use crate::list::ListOptions;
use crate::manual::{CompletionOptions, ManOptions};
use crate::mark::MarkCommand;
use crate::proc::ProcOptions;
use crate::realserver::RealServerOptions;
use crate::serve::options::ServeOptions;
use crate::settings::SetOptions;
use crate::trace::TraceOptions;

#[derive(Debug, Parser)]
#[command(
    name = "xvs",
    version,
    about = "The Linux Virtual Server on eBPF",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the director's daemon in this network namespace
    Serve(Box<ServeOptions>),
    /// Configure and list the director as ipvsadm does
    #[command(disable_help_flag = true)]
    Adm(AdmWords),
    /// List services, connections, timeouts or sync daemons, for people and (--json) for programs
    List(ListOptions),
    /// Say how the virtual routers are: state, since when and why, who else was heard
    Vrrp {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Go on with every change of state, as it happens
        #[arg(long)]
        watch: bool,
    },
    /// Say how BFD sessions are: which neighbours are reached, how soon a loss is noticed
    Bfd {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say how the director is: hooks, tables, what became of packets
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what becomes of packets: one by one, as they come
    Trace(Box<TraceOptions>),
    /// Change settings, or list them: what the kernel has as sysctls under net.ipv4.vs
    Set(SetOptions),
    /// Give packets firewall marks, which services can go by, without netfilter
    #[command(subcommand)]
    Mark(MarkCommand),
    /// Say how real servers are, and what their checks found
    Health {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have the daemon read its configuration file again. A file that is wrong changes nothing
    Reload,
    /// Say what is wrong with a configuration file in keepalived's language, and where
    ///
    /// Ends with 0 when it can be used, with 5 (as `keepalived -t') when it cannot.
    Check(FileOptions),
    /// Give services the addresses that real servers under FULLNAT see instead of clients'
    #[command(subcommand)]
    Laddr(LaddrCommand),
    /// Show and keep the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print what the kernel's IPVS shows under /proc/net, for programs that read it there
    Proc(ProcOptions),
    /// Send packets to a director of one's own, as many as this machine can, and say how many
    ///
    /// They are the smallest TCP segments, made by an XDP program and sent without the network stack
    /// (Linux 5.18 and later). Nothing is attached, so that Ctrl-C may end it at any time. Real servers
    /// drop them: their TCP checksums are wrong.
    Bench(BenchOptions),
    /// Be a real server of VS/TUN: take packets to virtual addresses out of IP, GRE and GUE
    Realserver(RealServerOptions),
    /// Put the program, its manual, completions and unit into the system, and ipvsadm beside the one that
    /// is there
    ///
    /// On Debian, update-alternatives chooses which of the two `ipvsadm' is.
    Install(InstallOptions),
    /// Print what makes a shell complete the words of xvs or ipvsadm
    ///
    /// For bash: xvs completion bash > /usr/share/bash-completion/completions/xvs
    Completion(CompletionOptions),
    /// Print a page of the manual, or write all of them
    Man(ManOptions),
    /// Try virtual servers in network namespaces
    #[command(subcommand)]
    Lab(lab::cli::LabCommand),
}

/// The command line of ipvsadm, as it is.
#[derive(Debug, clap::Args)]
pub struct AdmWords {
    /// See `xvs adm -h`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "IPVSADM OPTIONS"
    )]
    pub words: Vec<String>,
}

/// Reads the command line. Prints help, or what is wrong with it, and ends the program then.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Command {
    Cli::parse_from(args).command
}

/// What the command line consists of.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Reads a command line that nobody typed.
///
/// # Errors
/// When it is none.
pub fn try_parse<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Command, clap::Error> {
    Ok(Cli::try_parse_from(args)?.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_defined_without_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ipvsadms_options_are_left_alone() {
        for words in [
            vec!["-ln"],
            vec!["-h"],
            vec!["--help"],
            vec!["-A", "-t", "192.0.2.1:80"],
        ] {
            let args = ["xvs", "adm"].into_iter().chain(words.iter().copied());
            let Command::Adm(adm) = parse(args) else {
                panic!("`adm' is understood as another command");
            };
            assert_eq!(adm.words, words);
        }
    }
}
