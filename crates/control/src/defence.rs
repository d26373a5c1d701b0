//! What a director does against more than it can bear: `drop_entry`, `drop_packet` and
//! `secure_tcp` (`update_defense_level`).

use conntable::Kind;
use model::{Setting, Settings};

use crate::connections::{Entry, buckets, end_entries};
use crate::{Plane, connections};

/// In how many seconds `drop_entry` goes through the whole table.
const SECONDS_PER_ROUND: u32 = 32;
/// TCP's states in which a client has not proved that it is there.
const SYN_RECV: u8 = 3;
const SYNACK: u8 = 10;
const TCP: u8 = 6;

/// What is done at this time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Defence {
    /// Whether half-open connections are forgotten.
    pub(crate) drops_entries: bool,
    /// Of so many packets that would open a connection one is dropped; 0 for none.
    pub(crate) drop_rate: u32,
    /// Whether TCP is followed by the table against floods.
    pub(crate) is_secure: bool,
}

impl Defence {
    /// What the settings ask for while so many pages of memory are free. A mode that goes by the
    /// memory changes from 1 to 2 when it becomes short, and back.
    pub(crate) fn of(settings: &mut Settings, free_pages: u64) -> Self {
        let threshold = u64::try_from(settings.get(Setting::Amemthresh)).unwrap_or(0);
        let is_short = free_pages < threshold;
        let mut mode = |setting| {
            let mode = match (settings.get(setting), is_short) {
                (1, true) => 2,
                (2, false) => 1,
                (mode, _) => mode,
            };
            settings.put(setting, mode);
            mode
        };
        let (entry, packet, secure) = (
            mode(Setting::DropEntry),
            mode(Setting::DropPacket),
            mode(Setting::SecureTcp),
        );
        let drop_rate = match packet {
            2 => u32::try_from(threshold / (threshold - free_pages)).unwrap_or(u32::MAX),
            // The kernel counts down to a negative rate at once: every packet is dropped.
            3 => u32::try_from(settings.get(Setting::AmDroprate)).unwrap_or(1),
            _ => 0,
        };
        Self {
            drops_entries: entry >= 2,
            drop_rate,
            is_secure: secure >= 2,
        }
    }
}

/// Forgets what is half open in the next part of the tables, of which `next` is the first bucket
/// (`ip_vs_random_dropentry`); the kernel looks at as many, at random.
pub(crate) fn drop_entries(plane: &impl Plane, next: &mut u32) {
    let all = buckets(plane);
    let part = all.div_ceil(SECONDS_PER_ROUND);
    end_entries(plane, *next, part, is_half_open);
    *next = if all - *next <= part { 0 } else { *next + part };
}

/// Whether an entry is the first to go: a TCP connection whose client has not answered yet, or a
/// template that nobody got past a handshake by, and nobody goes by now.
fn is_half_open(entry: &Entry) -> bool {
    match entry.load.kind {
        kind if kind == Kind::Connection as u8 => {
            entry.load.protocol == TCP && matches!(entry.state, SYN_RECV | SYNACK)
        }
        kind if kind == Kind::Template as u8 => {
            !entry.is_held && entry.state != connections::TEMPLATE_ASSURED
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(Setting, i32)]) -> Settings {
        let mut settings = Settings::default();
        for (setting, value) in values {
            settings.put(*setting, *value);
        }
        settings
    }

    const ALL: [Setting; 3] = [Setting::DropEntry, Setting::DropPacket, Setting::SecureTcp];

    #[test]
    fn nothing_is_done_where_nobody_asks_for_it() {
        let mut settings = Settings::default();
        assert_eq!(Defence::of(&mut settings, 0), Defence::default());
        assert_eq!(settings, Settings::default());
    }

    /// The kernel shows 1 where 2 was written and there is memory; and 2 once there is not.
    #[test]
    fn automatic_modes_follow_the_memory_and_show_it() {
        for written in [1, 2] {
            let mut settings = settings(&ALL.map(|setting| (setting, written)));
            assert_eq!(Defence::of(&mut settings, 1024), Defence::default());
            assert!(ALL.iter().all(|&setting| settings.get(setting) == 1));
            let short = Defence {
                drops_entries: true,
                drop_rate: 1024 / 24,
                is_secure: true,
            };
            assert_eq!(Defence::of(&mut settings, 1000), short);
            assert!(ALL.iter().all(|&setting| settings.get(setting) == 2));
            assert_eq!(Defence::of(&mut settings, 1024), Defence::default());
        }
    }

    #[test]
    fn the_third_mode_is_for_always_at_the_rate_that_is_set() {
        let mut settings = settings(&ALL.map(|setting| (setting, 3)));
        let always = Defence {
            drops_entries: true,
            drop_rate: 10,
            is_secure: true,
        };
        assert_eq!(Defence::of(&mut settings, u64::MAX), always);
        for (rate, expected) in [(3, 3), (0, 0), (-1, 1)] {
            settings.put(Setting::AmDroprate, rate);
            assert_eq!(Defence::of(&mut settings, 5000).drop_rate, expected);
        }
    }
}
