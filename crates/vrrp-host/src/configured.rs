//! A plan out of a keepalived.conf.

mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use config::Config;
use config::model as file;
use nix::time::{ClockId, clock_gettime};
use vrrp::{Authentication, Group, Peers, Preempt, Reading, Settings, Tracked, Version};

use crate::plan::{
    Command, Fifo, Instance, Mail, Notify, Paces, Plan, SyncGroup, TrackFile, TrackInterface,
    TrackProcess, TrackScript, Vmac,
};
use crate::users::{self, NoSuchUser};

/// What a configuration asks for and this host does not have.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A command's user.
    #[error(transparent)]
    User(#[from] NoSuchUser),
    /// A virtual MAC address.
    #[error("{instance}: {mac} is no MAC address\nhint: six bytes, as in 00:00:5e:00:01:33")]
    Mac {
        /// Whose.
        instance: String,
        /// What is written.
        mac: String,
    },
    /// Something that is tracked is not defined.
    #[error("{who} tracks {name}, which is not defined")]
    Undefined {
        /// The instance or group.
        who: String,
        /// What it tracks.
        name: String,
    },
}

impl Plan {
    /// What a configuration wants of this host.
    ///
    /// # Errors
    /// What it names is not there.
    pub fn of(config: &Config) -> Result<Self, Unfit> {
        let reader = Reader { config };
        let instances = config
            .vrrp_instances
            .iter()
            .map(|instance| reader.instance(instance));
        let groups = config.sync_groups.iter().map(|group| reader.group(group));
        let scripts = config.scripts.iter().map(|script| reader.script(script));
        let fifos = [
            &config.globals.notify_fifo,
            &config.globals.vrrp_notify_fifo,
        ];
        let fifos = fifos.into_iter().flatten().map(|fifo| reader.fifo(fifo));
        Ok(Self {
            instances: instances.collect::<Result<_, _>>()?,
            groups: groups.collect::<Result<_, _>>()?,
            scripts: scripts.collect::<Result<_, _>>()?,
            interfaces: reader.interfaces(),
            files: config.track_files.iter().map(track_file).collect(),
            processes: config.track_processes.iter().map(track_process).collect(),
            fifos: fifos.collect::<Result<_, _>>()?,
            mail: config.globals.mail.as_ref().map(|mail| reader.mail(mail)),
            startup_delay: config
                .globals
                .startup_delay
                .max(config.globals.delay_after_boot.saturating_sub(since_boot())),
            states_on_reload: config.globals.states_on_reload,
            logs_unknown: config.globals.log_unknown_vrids,
            paces: Paces {
                groups: config.garp_groups.clone(),
                usual: config.globals.announcement_pace,
            },
        })
    }
}

/// How long this system runs.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME);
    time.map_or(Duration::ZERO, Duration::from)
}

/// What instances call a BFD session that they track.
pub(crate) fn bfd_name(session: &str) -> String {
    Kind::Bfd.name(session)
}

/// The kinds of things that are tracked: names are unique within one.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Interface,
    Script,
    File,
    Process,
    Bfd,
}

impl Kind {
    fn name(self, name: &str) -> String {
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

struct Reader<'a> {
    config: &'a Config,
}

impl Reader<'_> {
    fn instance(&self, instance: &file::VrrpInstance) -> Result<Instance, Unfit> {
        let settings = self.settings(instance)?;
        let held = instance
            .addresses
            .iter()
            .chain(&instance.excluded_addresses);
        Ok(Instance {
            source: instance.source,
            tracks_source: instance.track_source,
            addresses: held.map(values::virtual_address).collect(),
            routes: instance.routes.iter().map(values::virtual_route).collect(),
            rules: instance.rules.clone(),
            vmac: match &instance.vmac {
                Some(vmac) => Some(self.vmac(vmac, &settings)?),
                None => None,
            },
            accepts: instance.accept || instance.priority == vrrp::OWNER,
            ignores_link: instance.dont_track_primary,
            promotes_secondaries: instance.promote_secondaries,
            announces_everywhere: instance.announcements.extra_all,
            notify: self.notify(&instance.notify)?,
            settings,
        })
    }

    fn settings(&self, instance: &file::VrrpInstance) -> Result<Settings, Unfit> {
        let globals = &self.config.globals;
        let addresses = instance
            .addresses
            .iter()
            .map(|address| address.address)
            .collect();
        let interface = instance
            .interface
            .as_ref()
            .unwrap_or(&globals.default_interface);
        let settings = Settings::new(
            &instance.name,
            interface,
            instance.virtual_router_id,
            addresses,
        );
        Ok(Settings {
            version: if instance.version == 2 {
                Version::V2
            } else {
                Version::V3
            },
            priority: instance.priority,
            interval: instance.advert_interval,
            down_adverts: instance.down_timer_adverts,
            preempt: match instance.no_preempt {
                true => Preempt::Never,
                false => Preempt::After(instance.preempt_delay),
            },
            peers: self.peers(instance),
            authentication: instance
                .authentication
                .as_ref()
                .map_or(Authentication::None, values::authentication),
            hmacs: instance
                .hmacs
                .as_ref()
                .map(|hmacs| values::hmacs(hmacs, instance.advert_interval)),
            announcements: values::announcements(&instance.announcements),
            answers_lower: !instance.lower_prio_no_advert && !instance.strict,
            answers_higher: instance.higher_prio_send_advert,
            checks_addresses: !instance.skip_check_adv_addr,
            tracked: self.tracked(instance)?,
            ..settings
        })
    }

    fn peers(&self, instance: &file::VrrpInstance) -> Peers {
        let globals = &self.config.globals;
        let peers = &instance.unicast_peers;
        if !peers.is_empty() || instance.unicast_fault_no_peer {
            let bounded =
                |peer: &&file::UnicastPeer| peer.min_ttl.is_some() || peer.max_ttl.is_some();
            let bounds = peers.iter().filter(bounded).map(|peer| {
                let range = peer.min_ttl.unwrap_or(0)..=peer.max_ttl.unwrap_or(u8::MAX);
                (peer.address, range)
            });
            let hop_limits: BTreeMap<_, _> = bounds.collect();
            return Peers::Unicast {
                peers: peers.iter().map(|peer| peer.address).collect(),
                hop_limit: instance.unicast_ttl.unwrap_or(u8::MAX),
                only: instance.check_unicast_src || !hop_limits.is_empty(),
                hop_limits,
            };
        }
        let v6 = instance
            .addresses
            .first()
            .is_some_and(|first| first.address.is_ipv6());
        let usual = match v6 {
            true => globals.vrrp_mcast_group6.into(),
            false => globals.vrrp_mcast_group4.into(),
        };
        Peers::Multicast(instance.multicast_group.unwrap_or(usual))
    }

    fn vmac(&self, vmac: &file::Vmac, settings: &Settings) -> Result<Vmac, Unfit> {
        let family = if settings.is_ipv6() { "6" } else { "" };
        let prefix = &self.config.globals.vmac_prefix;
        let usual = || format!("{prefix}{family}.{}", settings.virtual_router);
        let mac = vmac.mac.as_ref().map(|mac| {
            values::mac_address(mac, settings.virtual_router).ok_or_else(|| Unfit::Mac {
                instance: settings.name.clone(),
                mac: mac.clone(),
            })
        });
        Ok(Vmac {
            name: vmac.name.clone().unwrap_or_else(usual),
            mac: mac.transpose()?,
            base_transmits: vmac.xmit_base,
        })
    }

    /// What an instance tracks itself and in its sync group. A member's own weights count only where
    /// the group says so: members of different priorities would never agree.
    fn tracked(&self, instance: &file::VrrpInstance) -> Result<Vec<Tracked>, Unfit> {
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

    fn group(&self, group: &file::SyncGroup) -> Result<SyncGroup, Unfit> {
        let (name, members) = (group.name.clone(), group.members.clone());
        let notify = self.notify(&group.notify)?;
        Ok(SyncGroup {
            group: Group { name, members },
            notify,
        })
    }

    fn script(&self, script: &file::VrrpScript) -> Result<TrackScript, Unfit> {
        Ok(TrackScript {
            name: Kind::Script.name(&script.name),
            command: self.command(&script.script)?,
            interval: script.interval,
            timeout: script.timeout.unwrap_or(script.interval),
            rise: script.rise,
            fall: script.fall,
            initially_down: script.init_fail,
        })
    }

    fn interfaces(&self) -> Vec<TrackInterface> {
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

    fn notify(&self, notify: &file::Notify) -> Result<Notify, Unfit> {
        let command = |script: &Option<file::Script>| {
            script
                .as_ref()
                .map(|script| self.command(script))
                .transpose()
        };
        Ok(Notify {
            master: command(&notify.master)?,
            backup: command(&notify.backup)?,
            fault: command(&notify.fault)?,
            stop: command(&notify.stop)?,
            any: command(&notify.any)?,
            heard_lower: command(&notify.heard_lower)?,
            priority_changes: notify.priority_changes
                || self.config.globals.notify_priority_changes,
            mail: notify.mail,
        })
    }

    fn mail(&self, mail: &file::Mail) -> Mail {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let host = host.to_string_lossy().into_owned();
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
        let user = user
            .ok()
            .flatten()
            .map_or("root".to_owned(), |user| user.name);
        Mail {
            to: mail.to.clone(),
            from: mail
                .from
                .clone()
                .unwrap_or_else(|| format!("{user}@{host}")),
            host: mail.host.clone(),
            port: mail.port,
            router: self.config.globals.router_id.clone().or(Some(host.clone())),
            name: mail.helo_name.clone().unwrap_or(host),
            timeout: mail.timeout,
            faults: mail.faults,
        }
    }

    fn fifo(&self, fifo: &file::Fifo) -> Result<Fifo, Unfit> {
        let mut reader = fifo
            .script
            .as_ref()
            .map(|script| self.command(script))
            .transpose()?;
        if let Some(reader) = &mut reader {
            reader.arguments.push(fifo.path.clone());
        }
        let user = match &fifo.user {
            Some(user) => Some(users::find(user, fifo.group.as_deref())?),
            None => None,
        };
        Ok(Fifo {
            path: PathBuf::from(&fifo.path),
            owner: user,
            reader,
        })
    }

    fn command(&self, script: &file::Script) -> Result<Command, Unfit> {
        let globals = &self.config.globals;
        let user = match (&script.user, &globals.script_user) {
            (Some(user), _) => Some(users::find(user, script.group.as_deref())?),
            (None, Some((user, group))) => Some(users::find(user, group.as_deref())?),
            (None, None) => users::usual(),
        };
        let mut words = script.command.iter().cloned();
        Ok(Command {
            program: PathBuf::from(words.next().unwrap_or_default()),
            arguments: words.collect(),
            user,
        })
    }
}

fn track_file(file: &file::TrackFile) -> TrackFile {
    TrackFile {
        name: Kind::File.name(&file.name),
        path: PathBuf::from(&file.path),
        initial: file.init,
    }
}

fn track_process(process: &file::TrackProcess) -> TrackProcess {
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
