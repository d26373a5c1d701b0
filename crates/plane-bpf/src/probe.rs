//! Whether BPF can be used here, and if not, why.

use std::fs;
use std::io;

use aya::util::KernelVersion;

use crate::error::Error;
use crate::sys;

const OLDEST: KernelVersion = KernelVersion::new(5, 15, 0);

/// The capabilities that are needed, by their numbers (capabilities(7)).
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];
/// It stands for the newer CAP_PERFMON and CAP_BPF.
const SYS_ADMIN: u32 = 21;
const SINCE_SYS_ADMIN: u32 = 38;

/// Tries whether the kernel lets this process use BPF.
///
/// Memory limits (RLIMIT_MEMLOCK) need no look: since Linux 5.11 they do not count for BPF.
///
/// # Errors
/// With the reason why it does not, and what helps.
pub fn probe() -> Result<(), Error> {
    match KernelVersion::current() {
        Ok(version) if version < OLDEST => return Err(Error::old_kernel()),
        // A version that cannot be told is given a chance.
        _ => {}
    }
    let missing = missing(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    if !missing.is_empty() {
        return Err(Error::NoPrivilege { missing });
    }
    match sys::create_array() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Err(Error::NoBpf),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Err(Error::NoMemory),
        Err(error) => Err(Error::Refused(error)),
    }
}

/// The needed capabilities that a process lacks, by its status file.
fn missing(status: &str) -> String {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    // Without the file, the kernel's own answer has to do.
    let effective = effective.unwrap_or(u64::MAX);
    let has = |number: u32| effective & (1 << number) != 0;
    let stands_in = |number: u32| number >= SINCE_SYS_ADMIN && has(SYS_ADMIN);
    let is_missing = |number: u32| !(has(number) || stands_in(number));
    let missing = NEEDED.iter().filter(|(number, _)| is_missing(*number));
    missing
        .map(|(_, name)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_lacks_is_named() {
        assert_eq!(missing("Name:\tx\nCapEff:\t000001ffffffffff\n"), "");
        assert_eq!(
            missing("CapEff:\t0000000000000000\n"),
            "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"
        );
        assert_eq!(missing("CapEff:\t000000c000000000\n"), "CAP_NET_ADMIN");
    }

    #[test]
    fn cap_sys_admin_stands_for_the_newer_capabilities() {
        assert_eq!(missing("CapEff:\t0000000000201000\n"), "");
        assert_eq!(missing("CapEff:\t0000000000200000\n"), "CAP_NET_ADMIN");
    }
}
