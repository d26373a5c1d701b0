//! Netfilter's rules that mark packets: they come too late for xvs's services.

use std::process::Command;

use control::netfilter;
use model::Family;
use tracing::warn;

/// The programs that print rules. With an older netfilter they say nothing of a table that is not
/// loaded, and load none.
const PROGRAMS: [(&str, Family); 2] = [
    ("iptables-save", Family::Ipv4),
    ("ip6tables-save", Family::Ipv6),
];

/// Warns of rules that mark packets.
pub fn check() {
    for (program, family) in PROGRAMS {
        // Where there is no such program, it has made no rules.
        let Ok(output) = Command::new(program).output() else {
            continue;
        };
        let rules = marking(&String::from_utf8_lossy(&output.stdout), family);
        if rules > 0 {
            warn!(
                rules,
                "netfilter marks packets that xvs takes before it; services of marks do not see \
                 that: `{program} | xvs mark import' shows rules of xvs's own that do the same"
            );
        }
    }
}

/// How many rules mark packets.
fn marking(text: &str, family: Family) -> usize {
    let found = netfilter::read(text, family);
    let left = found.left.iter();
    found.rules.len() + left.filter(|left| left.rule.contains("-j MARK ")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_mark_are_counted() {
        let text = "*mangle\n-A PREROUTING -d 192.0.2.1/32 -j RETURN\n\
            -A PREROUTING -i eth0 -j MARK --set-xmark 0x5/0xffffffff\n\
            -A PREROUTING -i eth+ -j MARK --set-xmark 0x5/0xffffffff\nCOMMIT\n";
        assert_eq!(marking(text, Family::Ipv4), 2);
    }
}
