//! What instances of a keepalived.conf track.

use std::collections::BTreeSet;
use std::path::PathBuf;

use config::model as file;
use vrrp::{Reading, Tracked};

use super::{Reader, Unfit};
use crate::plan::{TrackFile, TrackInterface, TrackProcess};

/// What instances call a BFD session that they track.
pub(crate) fn bfd_name(session: &str) -> String {
    Kind::Bfd.name(session)
}

/// The kinds of things that are tracked: names are unique within one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Interface,
    Script,
    File,
    Process,
    Bfd,
}

impl Kind {
    pub(super) fn name(self, name: &str) -> String {
        let kind = match self {
            Self::Interface => "interface",
            Self::Script => "script",
            Self::File => "file",
            Self::Process => "process",
            Self::Bfd => "bfd",
        };
        format!("{kind} {name}")
    }
}

impl Reader<'_> {
    /// What an instance tracks itself and in its sync group. A member's own weights count only where
    /// the group says so: members of different priorities would never agree.
    pub(super) fn tracked(&self, instance: &file::VrrpInstance) -> Result<Vec<Tracked>, Unfit> {
        let mut groups = self.config.sync_groups.iter();
        let group = groups.find(|group| group.members.contains(&instance.name));
        let weightless = group.is_some_and(|group| !group.tracking_weight);
        let own = [
            (Kind::Interface, &instance.track_interfaces),
            (Kind::Script, &instance.track_scripts),
            (Kind::File, &instance.track_files),
            (Kind::Process, &instance.track_processes),
            (Kind::Bfd, &instance.track_bfds),
        ];
        let mut tracked = self.tracked_by(&instance.name, own)?;
        for one in tracked.iter_mut().filter(|_| weightless) {
            one.weight = 0;
        }
        if let Some(group) = group {
            let shared = [
                (Kind::Interface, &group.track_interfaces),
                (Kind::Script, &group.track_scripts),
                (Kind::File, &group.track_files),
                (Kind::Process, &group.track_processes),
                (Kind::Bfd, &group.track_bfds),
            ];
            for one in self.tracked_by(&group.name, shared)? {
                tracked.retain(|known| known.name != one.name);
                tracked.push(one);
            }
        }
        Ok(tracked)
    }

    fn tracked_by(
        &self,
        who: &str,
        kinds: [(Kind, &Vec<file::TrackedBy>); 5],
    ) -> Result<Vec<Tracked>, Unfit> {
        let mut tracked = Vec::new();
        for (kind, names) in kinds {
            for by in names {
                let (weight, initial) = self.defined(who, kind, &by.name)?;
                let weight = by.weight.unwrap_or(weight);
                tracked.push(Tracked {
                    name: kind.name(&by.name),
                    weight: weight.weight,
                    reverse: weight.reverse,
                    initial,
                });
            }
        }
        Ok(tracked)
    }

    /// The weight of its definition, and what it is taken for at first.
    fn defined(&self, who: &str, kind: Kind, name: &str) -> Result<(file::Weight, Reading), Unfit> {
        let config = self.config;
        let found = match kind {
            Kind::Interface => Some((file::Weight::default(), Reading::Unknown)),
            Kind::Script => config
                .scripts
                .iter()
                .find(|script| script.name == name)
                .map(|script| {
                    let initial = if script.init_fail {
                        Reading::Down
                    } else {
                        Reading::Unknown
                    };
                    (script.weight, initial)
                }),
            Kind::File => {
                let file = config.track_files.iter().find(|file| file.name == name);
                file.map(|file| (file.weight, Reading::Value(0)))
            }
            Kind::Process => {
                let process = config
                    .track_processes
                    .iter()
                    .find(|process| process.name == name);
                process.map(|process| (process.weight, Reading::Unknown))
            }
            Kind::Bfd => {
                let mut sessions = config.bfd_instances.iter();
                let session = sessions.find(|session| session.name == name);
                session.map(|session| (session.weight, Reading::Unknown))
            }
        };
        found.ok_or_else(|| Unfit::Undefined {
            who: who.to_owned(),
            name: name.to_owned(),
        })
    }

    pub(super) fn interfaces(&self) -> Vec<TrackInterface> {
        let of_instances = self
            .config
            .vrrp_instances
            .iter()
            .flat_map(|one| &one.track_interfaces);
        let of_groups = self
            .config
            .sync_groups
            .iter()
            .flat_map(|group| &group.track_interfaces);
        let names: BTreeSet<&String> = of_instances.chain(of_groups).map(|by| &by.name).collect();
        let tracked = names.into_iter().map(|interface| TrackInterface {
            name: Kind::Interface.name(interface),
            interface: interface.clone(),
        });
        tracked.collect()
    }
}

pub(super) fn track_file(file: &file::TrackFile) -> TrackFile {
    TrackFile {
        name: Kind::File.name(&file.name),
        path: PathBuf::from(&file.path),
        initial: file.init,
    }
}

pub(super) fn track_process(process: &file::TrackProcess) -> TrackProcess {
    TrackProcess {
        name: Kind::Process.name(&process.name),
        command: process.command.clone(),
        arguments: process.arguments,
        whole: process.full_command,
        quorum: process.quorum,
        most: process.quorum_max,
        rise_delay: process.fork_delay,
        fall_delay: process.terminate_delay,
    }
}
