//! The settings: what they are, and what goes by them outside the packets' way.

use std::collections::HashSet;

use model::{Setting, SettingError, SettingRequest, Settings};

use crate::defence::{Defence, drop_entries};
use crate::director::Director;
use crate::{Plane, PlaneError, connections, settings};

/// What the defence knows from one second to the next.
#[derive(Debug)]
pub(super) struct Guard {
    /// Pages of memory that were free when somebody last told.
    free_pages: u64,
    /// The bucket at which the next half-open connections are looked for.
    next: u32,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            free_pages: u64::MAX,
            next: 0,
        }
    }
}

impl<P: Plane> Director<P> {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes settings, all or none.
    ///
    /// # Errors
    /// When one of them cannot be as it is asked for.
    pub fn set(&mut self, requests: &[SettingRequest]) -> Result<(), SettingError> {
        let settings = self.settings.with(requests)?;
        self.take_settings(settings);
        Ok(())
    }

    pub(super) fn take_settings(&mut self, settings: Settings) {
        self.settings = settings;
        let defence = Defence::of(&mut self.settings, self.guard.free_pages);
        settings::write(&self.plane.view(), &self.settings, defence);
        // What the plane does not take now is tried again whenever the network changes.
        let _tried_again_later = self.note_real_servers();
    }

    /// Notes where real servers take connections, for packets that `nat_icmp_send` is about.
    ///
    /// # Errors
    /// When the plane did not take all of it.
    pub(super) fn note_real_servers(&mut self) -> Result<(), PlaneError> {
        let needed = self.settings.is_on(Setting::NatIcmpSend);
        self.real_servers.follow(&self.plane, &self.wanted, needed)
    }

    /// A second passed, and so many pages of memory are free: takes the defence on.
    pub fn defend(&mut self, free_pages: u64) {
        self.guard.free_pages = free_pages;
        let defence = Defence::of(&mut self.settings, free_pages);
        settings::write_defence(&self.plane.view(), defence);
        if defence.drops_entries {
            drop_entries(&self.plane, &mut self.guard.next);
        }
    }

    /// Ends what goes to destinations that were removed, where `expire_nodest_conn` says so:
    /// connections first, then the templates that they went by.
    pub(super) fn forget_removed(&self) {
        if !self.settings.is_on(Setting::ExpireNodestConn) {
            return;
        }
        let removed: HashSet<u32> = self.publisher.removed().collect();
        let all = connections::buckets(&self.plane);
        for _ in ["connections", "templates"] {
            connections::end_entries(&self.plane, 0, all, |entry| {
                !entry.is_held && removed.contains(&entry.load.destination)
            });
        }
    }
}
