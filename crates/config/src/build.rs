//! From statements to the typed configuration.
//!
//! [`crate::check`] has told of keywords and single values that cannot be; here such values count
//! as absent, and only what several statements mean together is told.

mod announcements;
mod bfd;
mod checks;
mod fields;
mod globals;
mod groups;
mod servers;
mod track;
mod vrrp;

use crate::diagnostic::Diagnostic;
use crate::model::{Config, TlsFiles};
use crate::tree::Statement;
use fields::Fields;

pub(crate) fn build(statements: &[Statement], diagnostics: &mut Vec<Diagnostic>) -> Config {
    let file = Fields(statements);
    let globals = globals::globals(file);
    let track_files = track::files(file, diagnostics);
    let bfd_instances = bfd::instances(file, diagnostics);
    let groups = groups::groups(file, diagnostics);
    let servers = servers::Servers {
        globals: &globals,
        groups: &groups,
        track_files: &track_files,
        bfd_instances: &bfd_instances,
        diagnostics,
    };
    let virtual_servers = servers.build(file);
    let scripts = track::scripts(file, diagnostics);
    let track_processes = track::processes(file, diagnostics);
    let known = vrrp::Known {
        scripts: scripts.iter().map(|script| script.name.as_str()).collect(),
        files: track_files.iter().map(|file| file.name.as_str()).collect(),
        processes: track_processes
            .iter()
            .map(|process| process.name.as_str())
            .collect(),
        bfds: bfd_instances
            .iter()
            .filter(|instance| instance.for_vrrp)
            .map(|instance| instance.name.as_str())
            .collect(),
    };
    let garp_groups = announcements::groups(file, diagnostics);
    let vrrp_instances = vrrp::instances(file, &globals, &known, diagnostics);
    let sync_groups = vrrp::sync_groups(file, &globals, &known, diagnostics);
    Config {
        tls: tls_files(file),
        groups,
        virtual_servers,
        bfd_instances,
        garp_groups,
        vrrp_instances,
        sync_groups,
        scripts,
        track_files,
        track_processes,
        globals,
    }
}

fn tls_files(file: Fields<'_>) -> TlsFiles {
    let ssl = file.block(&["SSL"]);
    TlsFiles {
        password: ssl.text(&["password"]),
        authority: ssl.text(&["ca"]),
        certificate: ssl.text(&["certificate"]),
        key: ssl.text(&["key"]),
    }
}
