//! A plan out of a keepalived.conf.

mod tracked;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::Config;
use config::model as file;
use nix::time::{ClockId, clock_gettime};
use vrrp::{Authentication, Group, Peers, Preempt, Settings, Version};

use crate::plan::{
    Command, Fifo, Instance, Mail, Notify, Paces, Plan, SyncGroup, TrackScript, Vmac,
};
use crate::users::{self, NoSuchUser};
use tracked::{Kind, track_file, track_process};

pub(crate) use tracked::bfd_name;

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
            routes: instance.routes.clone(),
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
            owner_ignores_adverts: instance.owner_ignores_adverts,
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
