//! The help text and the version.

/// The version line, without its end.
pub(crate) const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/// How the program is called; its name goes before each line.
const USAGE: [&str; 13] = [
    "-A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]",
    "-D virtual-service",
    "-C",
    "-R",
    "-S [-n]",
    "-a|e virtual-service -r server-address [options]",
    "-d virtual-service -r server-address",
    "-L|l [virtual-service] [options]",
    "-Z [virtual-service]",
    "--set tcp tcpfin udp",
    "--start-daemon {master|backup} [daemon-options]",
    "--stop-daemon {master|backup}",
    "-h",
];

const OPTIONS: &str = include_str!("help.txt");

/// How the program is called, a line each, without its name.
pub fn usage() -> impl Iterator<Item = &'static str> {
    USAGE.into_iter()
}

/// The help text, for a program called by this name.
pub(crate) fn text(program: &str) -> String {
    let usage: String = USAGE
        .iter()
        .map(|line| format!("  {program} {line}\n"))
        .collect();
    format!("{VERSION}\nUsage:\n{usage}\n{OPTIONS}")
}
