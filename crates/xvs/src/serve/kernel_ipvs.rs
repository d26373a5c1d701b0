//! The kernel's own IPVS: two directors for the same packets do not go well.

use anyhow::{Result, bail};

/// Its table of services (in the reader's network namespace).
const TABLE: &str = "/proc/net/ip_vs";

/// Refuses to run beside a kernel that has services of its own.
///
/// # Errors
/// When it has.
pub fn check() -> Result<()> {
    let Ok(table) = std::fs::read_to_string(TABLE) else {
        return Ok(());
    };
    let services = services(&table);
    if services > 0 {
        bail!(
            "the kernel's IPVS has {services} services in this network namespace, and would get \
             their packets as well\n\
             hint: move them: `/sbin/ipvsadm-save -n > rules && /sbin/ipvsadm -C', start xvs, then \
             `xvs adm --restore < rules'"
        );
    }
    Ok(())
}

/// The number of services in the kernel's table.
fn services(table: &str) -> usize {
    let is_service = |line: &&str| {
        ["TCP ", "UDP ", "SCTP ", "FWM "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    table.lines().filter(is_service).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Linux 6.1.
    const EMPTY: &str = "IP Virtual Server version 1.2.1 (size=4096)\n\
        Prot LocalAddress:Port Scheduler Flags\n  \
          -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
    const ONE: &str = "TCP  AC100A15:0050 wrr  \n  \
          -> C0A86417:0050      Masq    3      1          0         \n";

    #[test]
    fn a_loaded_module_without_services_is_no_obstacle() {
        assert_eq!(services(EMPTY), 0);
    }

    #[test]
    fn services_are_counted_without_their_destinations() {
        assert_eq!(services(&format!("{EMPTY}{ONE}")), 1);
    }
}
