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

/// Writes flags separated by commas, as `ipvsadm` does: `sh` and `mh` do not show the third.
pub(crate) fn flags_text(flags: SchedulerFlags, scheduler: Scheduler) -> String {
    let [first, second, third] = match scheduler {
        Scheduler::Sh => ["sh-fallback", "sh-port", ""],
        Scheduler::Mh => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let set = [
        (flags.first, first),
        (flags.second, second),
        (flags.third, third),
    ];
    let shown = set
        .into_iter()
        .filter(|(set, name)| *set && !name.is_empty());
    shown.map(|(_, name)| name).collect::<Vec<_>>().join(",")
}
