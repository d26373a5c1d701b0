//! Which options go with which command, and with which kind of tunnel.

use model::TunnelKind;

use crate::options::{CommandKind, OptionKind, OptionSet};

/// How an option stands to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Illegal,
    Optional,
    Required,
    /// At most one of these.
    Exclusive,
}

/// Checks the options against the command; the first one that does not fit is the message.
pub(crate) fn check_options(command: CommandKind, options: OptionSet) -> Result<(), String> {
    let context = format!("'{}' command", command.name());
    check(
        &OptionKind::ALL,
        options,
        |kind| rule(command, kind),
        &context,
    )
}

/// Checks the tunnel options against the kind of tunnel; the first one that does not fit is the
/// message.
pub(crate) fn check_tunnel_options(tunnel: TunnelKind, options: OptionSet) -> Result<(), String> {
    const FIRST: usize = OptionKind::TunnelPort as usize;
    const LAST: usize = OptionKind::TunnelRemoteChecksum as usize;
    let context = format!("'{tunnel}' tunnel type");
    check(
        &OptionKind::ALL[FIRST..=LAST],
        options,
        |kind| tunnel_rule(tunnel, kind),
        &context,
    )
}

fn check(
    kinds: &[(OptionKind, &'static str)],
    options: OptionSet,
    rule: impl Fn(OptionKind) -> Rule,
    context: &str,
) -> Result<(), String> {
    let mut exclusive: Option<&str> = None;
    for &(kind, name) in kinds {
        match (rule(kind), options.has(kind)) {
            (Rule::Required, false) => {
                return Err(format!(
                    "You need to supply the '{name}' option for the {context}"
                ));
            }
            (Rule::Illegal, true) => {
                return Err(format!("Illegal '{name}' option with the {context}"));
            }
            (Rule::Exclusive, true) => {
                if let Some(other) = exclusive.replace(name) {
                    return Err(format!(
                        "The option '{name}' conflicts with the '{other}' option in the {context}"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn rule(command: CommandKind, option: OptionKind) -> Rule {
    use CommandKind as C;
    use OptionKind as O;
    match (command, option) {
        (
            C::AddService
            | C::EditService
            | C::DeleteService
            | C::AddServer
            | C::EditServer
            | C::DeleteServer
            | C::AddLocalAddress
            | C::DeleteLocalAddress,
            O::ServiceAddress,
        )
        | (C::AddLocalAddress | C::DeleteLocalAddress, O::LocalAddress)
        | (C::AddServer | C::EditServer | C::DeleteServer, O::RealServer) => Rule::Required,

        (C::List, O::Connection | O::ServiceAddress | O::Timeout | O::Daemon) => Rule::Exclusive,

        (
            C::AddService | C::EditService,
            O::Scheduler
            | O::Persistent
            | O::Netmask
            | O::OnePacket
            | O::Engine
            | O::SchedulerFlags
            | O::MaxSegment
            | O::ClientAddress,
        )
        | (
            C::AddServer | C::EditServer,
            O::ForwardingMethod
            | O::Weight
            | O::UpperThreshold
            | O::LowerThreshold
            | O::TunnelType
            | O::TunnelPort
            | O::TunnelNoChecksum
            | O::TunnelChecksum
            | O::TunnelRemoteChecksum,
        )
        | (
            C::List,
            O::Numeric
            | O::Stats
            | O::Rate
            | O::Thresholds
            | O::PersistentConn
            | O::NoSort
            | O::SyncId
            | O::Exact
            | O::TunnelInfo,
        )
        | (
            C::StartDaemon,
            O::McastInterface
            | O::SyncId
            | O::McastGroup
            | O::McastPort
            | O::McastTtl
            | O::SyncMaxLength,
        )
        | (C::StopDaemon, O::SyncId)
        | (C::Save, O::Numeric)
        | (C::Zero, O::ServiceAddress) => Rule::Optional,

        _ => Rule::Illegal,
    }
}

fn tunnel_rule(tunnel: TunnelKind, option: OptionKind) -> Rule {
    use OptionKind as O;
    match (tunnel, option) {
        (TunnelKind::Gue, O::TunnelPort) => Rule::Required,
        (TunnelKind::Gue, _) | (TunnelKind::Gre, O::TunnelNoChecksum | O::TunnelChecksum) => {
            Rule::Exclusive
        }
        _ => Rule::Illegal,
    }
}
