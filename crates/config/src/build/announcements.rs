//! `garp_*` and `gna_*`, of instances and of all.

use std::time::Duration;

use super::fields::Fields;
use crate::diagnostic::Diagnostic;
use crate::model::{Announcements, GarpGroup, Pace};

/// What `global_defs` says of all instances.
pub(super) fn of_all(given: Fields<'_>) -> Announcements {
    let mut defaults = Announcements::default();
    if given.switch(&["vrrp_min_garp"]).unwrap_or(false) {
        defaults.repeat = 1;
        defaults.delay = Duration::ZERO;
    }
    let seconds = |names, other| given.seconds(names).unwrap_or(other);
    let number = |names, other| given.number(names).unwrap_or(other);
    let repeat = number(&["vrrp_garp_master_repeat"], defaults.repeat);
    let delay = seconds(&["vrrp_garp_master_delay"], defaults.delay);
    let refresh_repeat = number(
        &["vrrp_garp_master_refresh_repeat"],
        defaults.refresh_repeat,
    );
    let all = Announcements {
        repeat,
        delay,
        refresh: seconds(&["vrrp_garp_master_refresh"], defaults.refresh),
        refresh_repeat,
        lower_prio_repeat: number(&["vrrp_garp_lower_prio_repeat"], repeat),
        lower_prio_delay: seconds(&["vrrp_garp_lower_prio_delay"], delay),
        ..defaults
    };
    with_extra(
        all,
        &given.words(&["vrrp_garp_extra_if", "vrrp_vmac_garp_intvl"]),
    )
}

/// What an instance says, where it does.
pub(super) fn of_instance(given: Fields<'_>, all: &Announcements) -> Announcements {
    let seconds = |names, other| given.seconds(names).unwrap_or(other);
    let number = |names, other| given.number(names).unwrap_or(other);
    let own = Announcements {
        repeat: number(&["garp_master_repeat"], all.repeat),
        delay: seconds(&["garp_master_delay"], all.delay),
        refresh: seconds(&["garp_master_refresh"], all.refresh),
        refresh_repeat: number(&["garp_master_refresh_repeat"], all.refresh_repeat),
        lower_prio_repeat: number(&["garp_lower_prio_repeat"], all.lower_prio_repeat),
        lower_prio_delay: seconds(&["garp_lower_prio_delay"], all.lower_prio_delay),
        ..*all
    };
    with_extra(own, &given.words(&["garp_extra_if", "vmac_garp_intvl"]))
}

/// `garp_extra_if [all] SECONDS`.
fn with_extra(announcements: Announcements, words: &[&str]) -> Announcements {
    let seconds = words.iter().find_map(|word| word.parse().ok());
    match seconds {
        Some(seconds) => Announcements {
            extra_refresh: Duration::from_secs(seconds),
            extra_all: words.contains(&"all"),
            ..announcements
        },
        None => announcements,
    }
}

/// How fast on interfaces of no group.
pub(super) fn pace(given: Fields<'_>) -> Pace {
    Pace {
        arp: given.seconds(&["vrrp_garp_interval"]).unwrap_or_default(),
        advertisement: given.seconds(&["vrrp_gna_interval"]).unwrap_or_default(),
    }
}

/// `garp_group`s.
pub(super) fn groups(file: Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<GarpGroup> {
    let mut groups = Vec::new();
    for statement in file.all(&["garp_group"]) {
        let given = Fields(statement.inner());
        let listed = given.lines(&["interfaces"]).flat_map(|line| line.words());
        let mut interfaces: Vec<String> = listed.map(|word| word.text.clone()).collect();
        interfaces.extend(given.text(&["interface"]));
        let pace = Pace {
            arp: given.seconds(&["garp_interval"]).unwrap_or_default(),
            advertisement: given.seconds(&["gna_interval"]).unwrap_or_default(),
        };
        if interfaces.is_empty() || pace == Pace::default() {
            diagnostics.push(Diagnostic::warning(
                statement.span(),
                "a garp_group that holds nothing back",
                "it needs interfaces, and garp_interval or gna_interval",
                "complete it, or remove it",
            ));
            continue;
        }
        groups.push(GarpGroup { interfaces, pace });
    }
    groups
}
