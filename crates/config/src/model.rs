//! What a configuration means, with every default filled in.

mod announcements;
mod bfd;
mod checks;
mod globals;
mod servers;
mod vrrp;

use serde::Serialize;

pub use announcements::{Announcements, GarpGroup, Pace};
pub use bfd::BfdInstance;
pub use checks::{
    Check, CheckKind, Connect, DigestMd5, HexPattern, HttpCheck, HttpVersion, RegexSettings,
    StatusRange, Timing, Tls, TlsFiles, Url, Via,
};
pub use globals::{Fifo, Globals, LvsTimeouts, Mail};
pub use servers::{RealServer, SorryServer, VirtualServer, VirtualServerGroup, VirtualServerName};
pub use vrrp::{
    ArgumentMatch, Authentication, FOREVER, HmacKey, Hmacs, Notify, RouteKind, RuleAction,
    SyncGroup, TrackFile, TrackProcess, TrackedBy, UnicastPeer, VirtualAddress, VirtualRoute,
    VirtualRule, Vmac, VrrpInstance, VrrpScript, Weight,
};

/// A whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Config {
    /// `global_defs`.
    pub globals: Globals,
    /// `SSL`: what SSL_GET shows and trusts.
    pub tls: TlsFiles,
    /// `virtual_server_group`s.
    pub groups: Vec<VirtualServerGroup>,
    /// `virtual_server`s.
    pub virtual_servers: Vec<VirtualServer>,
    /// `bfd_instance`s.
    pub bfd_instances: Vec<BfdInstance>,
    /// `garp_group`s.
    pub garp_groups: Vec<GarpGroup>,
    /// `vrrp_instance`s.
    pub vrrp_instances: Vec<VrrpInstance>,
    /// `vrrp_sync_group`s.
    pub sync_groups: Vec<SyncGroup>,
    /// `vrrp_script`s.
    pub scripts: Vec<VrrpScript>,
    /// `track_file`s.
    pub track_files: Vec<TrackFile>,
    /// `vrrp_track_process`es.
    pub track_processes: Vec<TrackProcess>,
}

/// A command, without a shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Script {
    /// The program's path, then its arguments.
    pub command: Vec<String>,
    /// The user that it runs as; None: `script_user`.
    pub user: Option<String>,
    /// The group; None: the user's.
    pub group: Option<String>,
}
