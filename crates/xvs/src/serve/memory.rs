//! How much memory the machine has left, as the kernel's IPVS counts it.

use std::io;

use nix::unistd::{SysconfVar, sysconf};

/// Where the kernel tells.
const TABLE: &str = "/proc/meminfo";

/// Free and buffer memory in pages (`update_defense_level`).
///
/// # Errors
/// When the kernel does not tell.
pub fn free_pages() -> io::Result<u64> {
    let table = std::fs::read_to_string(TABLE)?;
    let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| u64::try_from(bytes).ok());
    let page = page.unwrap_or(4096).max(1024);
    kilobytes(&table)
        .map(|kilobytes| kilobytes / (page / 1024))
        .ok_or_else(|| io::Error::other(format!("{TABLE} has no MemFree and Buffers")))
}

fn kilobytes(table: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(of("MemFree:")? + of("Buffers:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Linux 6.1.
    const TABLE: &str = "MemTotal:         981076 kB\nMemFree:          921044 kB\n\
        MemAvailable:     863480 kB\nBuffers:            1004 kB\nCached:            13096 kB\n";

    #[test]
    fn free_and_buffer_memory_is_counted_and_caches_are_not() {
        assert_eq!(kilobytes(TABLE), Some(921_044 + 1004));
        assert_eq!(kilobytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn this_machine_tells() {
        assert!(free_pages().is_ok_and(|pages| pages > 0));
    }
}
