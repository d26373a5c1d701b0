//! The director's settings: what the kernel's IPVS has as sysctls under `net.ipv4.vs`.
//!
//! Names, ranges and defaults are the kernel's. What a setting does not do here it does not take
//! either: it is refused, with the reason.

mod about;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::named;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`Setting::about` says what each means")]
pub enum Setting {
    AmDroprate,
    Amemthresh,
    BackupOnly,
    CacheBypass,
    ConnLfactor,
    ConnMax,
    ConnReuseMode,
    Conntrack,
    DebugLevel,
    DropEntry,
    DropPacket,
    EstCpulist,
    EstNice,
    ExpireNodestConn,
    ExpireQuiescentTemplate,
    IgnoreTunneled,
    LblcExpiration,
    LblcrExpiration,
    NatIcmpSend,
    PmtuDisc,
    RunEstimation,
    ScheduleIcmp,
    SecureTcp,
    SloppySctp,
    SloppyTcp,
    SnatReroute,
    SvcLfactor,
    SyncPersistMode,
    SyncPorts,
    SyncQlenMax,
    SyncRefreshPeriod,
    SyncRetries,
    SyncSockSize,
    SyncThreshold,
    SyncVersion,
}

named!(Setting, "setting", "what `xvs set' lists", {
    AmDroprate => "am_droprate",
    Amemthresh => "amemthresh",
    BackupOnly => "backup_only",
    CacheBypass => "cache_bypass",
    ConnLfactor => "conn_lfactor",
    ConnMax => "conn_max",
    ConnReuseMode => "conn_reuse_mode",
    Conntrack => "conntrack",
    DebugLevel => "debug_level",
    DropEntry => "drop_entry",
    DropPacket => "drop_packet",
    EstCpulist => "est_cpulist",
    EstNice => "est_nice",
    ExpireNodestConn => "expire_nodest_conn",
    ExpireQuiescentTemplate => "expire_quiescent_template",
    IgnoreTunneled => "ignore_tunneled",
    LblcExpiration => "lblc_expiration",
    LblcrExpiration => "lblcr_expiration",
    NatIcmpSend => "nat_icmp_send",
    PmtuDisc => "pmtu_disc",
    RunEstimation => "run_estimation",
    ScheduleIcmp => "schedule_icmp",
    SecureTcp => "secure_tcp",
    SloppySctp => "sloppy_sctp",
    SloppyTcp => "sloppy_tcp",
    SnatReroute => "snat_reroute",
    SvcLfactor => "svc_lfactor",
    SyncPersistMode => "sync_persist_mode",
    SyncPorts => "sync_ports",
    SyncQlenMax => "sync_qlen_max",
    SyncRefreshPeriod => "sync_refresh_period",
    SyncRetries => "sync_retries",
    SyncSockSize => "sync_sock_size",
    SyncThreshold => "sync_threshold",
    SyncVersion => "sync_version",
});

/// What is known of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// What it takes.
    pub takes: Takes,
    /// What it does, in one sentence.
    pub meaning: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A whole number.
    Number {
        /// What it is where nobody says otherwise.
        default: i32,
        /// The least.
        least: i32,
        /// The greatest.
        greatest: i32,
    },
    /// Nothing but the kernel's default.
    Fixed {
        /// The default, as the kernel shows it. Empty where that goes by the machine.
        default: &'static str,
        /// Why nothing else.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

/// Why a setting is not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingError {
    /// There is no setting of this name.
    #[error("there is no setting `{name}'\nhint: `xvs set' lists them")]
    Unknown {
        /// What was given.
        name: String,
    },
    /// The kernel, too, refuses the value (EINVAL).
    #[error(
        "{setting}={value}: Invalid argument\nhint: it takes a whole number from {least} to {greatest}"
    )]
    Invalid {
        /// The setting.
        setting: Setting,
        /// What was given.
        value: String,
        /// The least that it takes.
        least: i32,
        /// The greatest that it takes.
        greatest: i32,
    },
    /// The director could not do what the value says.
    #[error("{setting}={value} is not done: {reason}\nhint: {remedy}")]
    Fixed {
        /// The setting.
        setting: Setting,
        /// What was given.
        value: String,
        /// Why not.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

/// A setting that somebody asks for: not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRequest {
    /// Its name, also as `net.ipv4.vs.NAME`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Text that asks for no setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}' sets nothing\nhint: write NAME=VALUE, as in `expire_nodest_conn=1'")]
pub struct NotASetting {
    text: String,
}

impl std::str::FromStr for SettingRequest {
    type Err = NotASetting;

    /// Reads `NAME=VALUE`, with or without blanks around the sign, as `sysctl.conf` has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or_else(|| NotASetting {
            text: text.to_owned(),
        })?;
        Ok(Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// The settings of a director.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings {
    /// Those that are not at their defaults.
    changed: BTreeMap<Setting, i32>,
}

impl Settings {
    /// The number that a setting is at; 0 for one that takes no number.
    pub fn get(&self, setting: Setting) -> i32 {
        match setting.about().takes {
            Takes::Number { default, .. } => self.changed.get(&setting).copied().unwrap_or(default),
            Takes::Fixed { .. } => 0,
        }
    }

    /// Whether a setting is at anything but 0.
    pub fn is_on(&self, setting: Setting) -> bool {
        self.get(setting) != 0
    }

    /// A setting's value, as the kernel would show it.
    pub fn text(&self, setting: Setting) -> String {
        match setting.about().takes {
            Takes::Number { .. } => self.get(setting).to_string(),
            Takes::Fixed { default, .. } => default.to_owned(),
        }
    }

    /// Those that are not at their defaults.
    pub fn changed(&self) -> impl Iterator<Item = (Setting, i32)> {
        self.changed
            .iter()
            .map(|(setting, value)| (*setting, *value))
    }

    /// Sets a number that is in range; nothing is done to a setting that takes none.
    pub fn put(&mut self, setting: Setting, number: i32) {
        let Takes::Number { default, .. } = setting.about().takes else {
            return;
        };
        if number == default {
            self.changed.remove(&setting);
        } else {
            self.changed.insert(setting, number);
        }
    }

    /// The settings after changes.
    ///
    /// # Errors
    /// When one of them cannot be: then none is to be made.
    pub fn with(&self, requests: &[SettingRequest]) -> Result<Self, SettingError> {
        let mut after = self.clone();
        for SettingRequest { name, value } in requests {
            after.request(name, value)?;
        }
        Ok(after)
    }

    fn request(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let short = name.strip_prefix("net.ipv4.vs.").unwrap_or(name);
        let setting: Setting = short.parse().map_err(|_| SettingError::Unknown {
            name: name.to_owned(),
        })?;
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match setting.about().takes {
            Takes::Number {
                least, greatest, ..
            } => match value.parse() {
                Ok(number) if (least..=greatest).contains(&number) => {
                    self.put(setting, number);
                    Ok(())
                }
                _ => Err(SettingError::Invalid {
                    setting,
                    value,
                    least,
                    greatest,
                }),
            },
            Takes::Fixed { default, .. } if value == default => Ok(()),
            Takes::Fixed { reason, remedy, .. } => Err(SettingError::Fixed {
                setting,
                value,
                reason,
                remedy,
            }),
        }
    }
}

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingStatus {
    /// Its name.
    pub name: Setting,
    /// Its value.
    pub value: String,
    /// The value where nobody says otherwise.
    pub default: String,
    /// What it does.
    pub meaning: String,
    /// Why it takes nothing but its default, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

impl SettingStatus {
    /// All settings with their values.
    pub fn all(settings: &Settings) -> Vec<Self> {
        let default = Settings::default();
        let status = |&name: &Setting| {
            let about = name.about();
            let fixed = match about.takes {
                Takes::Number { .. } => None,
                Takes::Fixed { reason, .. } => Some(reason.to_owned()),
            };
            Self {
                name,
                value: settings.text(name),
                default: default.text(name),
                meaning: about.meaning.to_owned(),
                fixed,
            }
        };
        Setting::ALL.iter().map(status).collect()
    }
}
