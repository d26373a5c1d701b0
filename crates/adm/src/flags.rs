//! Scheduler flags as text. Two schedulers have names of their own for the first two.

use model::{Scheduler, SchedulerFlags};

/// Reads flags separated by commas, for a scheduler of this name.
///
/// # Errors
/// The message about the first flag that is not known, or not to this scheduler.
pub(crate) fn parse_flags(text: &str, scheduler: &str) -> Result<SchedulerFlags, String> {
    let mut flags = SchedulerFlags::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let owner = match word {
            "sh-fallback" | "sh-port" => "sh",
            "mh-fallback" | "mh-port" => "mh",
            _ => scheduler,
        };
        match word {
            "flag-1" | "sh-fallback" | "mh-fallback" => flags.first = true,
            "flag-2" | "sh-port" | "mh-port" => flags.second = true,
            "flag-3" => flags.third = true,
            _ => return Err(format!("invalid scheduler flag `{word}'")),
        }
        if scheduler != owner {
            return Err(format!("incompatible scheduler flag `{word}'"));
        }
    }
    Ok(flags)
}

/// The names that every scheduler has for its flags.
const COMMON: [&str; 3] = ["flag-1", "flag-2", "flag-3"];

/// Writes flags separated by commas, as `ipvsadm` does: `sh` and `mh` do not show the third.
pub(crate) fn flags_text(flags: SchedulerFlags, scheduler: Scheduler) -> String {
    match scheduler {
        Scheduler::Sh => joined(flags, ["sh-fallback", "sh-port", ""]),
        Scheduler::Mh => joined(flags, ["mh-fallback", "mh-port", ""]),
        _ => joined(flags, COMMON),
    }
}

/// Writes flags separated by commas, by the names that every scheduler has for them.
pub(crate) fn common_flags_text(flags: SchedulerFlags) -> String {
    joined(flags, COMMON)
}

fn joined(flags: SchedulerFlags, names: [&str; 3]) -> String {
    let set = [flags.first, flags.second, flags.third]
        .into_iter()
        .zip(names);
    let shown = set.filter(|(set, name)| *set && !name.is_empty());
    shown.map(|(_, name)| name).collect::<Vec<_>>().join(",")
}
