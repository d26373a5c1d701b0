//! What a virtual server is called, and the services that this means.

use model::{Family, Protocol, ServiceKey};

use super::Servers;
use crate::build::fields::Fields;
use crate::build::groups;
use crate::diagnostic::Diagnostic;
use crate::model::VirtualServerName;
use crate::nearest::nearest;
use crate::tree::{Statement, Word};

impl Servers<'_> {
    pub(super) fn name(
        &mut self,
        statement: &Statement,
        given: Fields<'_>,
    ) -> Option<VirtualServerName> {
        let first = statement.arguments.first()?;
        let second = statement.arguments.get(1);
        match (first.text.as_str(), second) {
            ("group", Some(name)) => self.group_name(name),
            ("fwmark", Some(word)) => match word.text.parse() {
                Ok(mark) if mark != 0 => Some(VirtualServerName::Mark {
                    mark,
                    family: self.mark_family(given),
                }),
                _ => {
                    self.wrong(
                        word,
                        "is no firewall mark",
                        "write a number from 1 to 4294967295",
                    );
                    None
                }
            },
            (address, port) => {
                let Ok(address) = address.parse() else {
                    self.wrong(
                        first,
                        "is no IP address",
                        "write `virtual_server ADDRESS PORT', `fwmark NUMBER' or `group NAME'",
                    );
                    return None;
                };
                let port = match port.map(groups::port) {
                    None => 0,
                    Some(Ok(port)) => port,
                    Some(Err(diagnostic)) => {
                        self.diagnostics.push(*diagnostic);
                        return None;
                    }
                };
                Some(VirtualServerName::Address { address, port })
            }
        }
    }

    fn group_name(&mut self, name: &Word) -> Option<VirtualServerName> {
        if self.groups.iter().any(|group| group.name == name.text) {
            return Some(VirtualServerName::Group(name.text.clone()));
        }
        let known = self.groups.iter().map(|group| group.name.as_str());
        let help = match nearest(&name.text, known) {
            Some(near) => format!("a group of a similar name is `{near}'"),
            None => format!("add `virtual_server_group {} {{ ... }}'", name.text),
        };
        self.diagnostics.push(Diagnostic::error(
            name.span,
            format!("there is no virtual_server_group `{}'", name.text),
            "no group of this name is in the file",
            help,
        ));
        None
    }

    /// The family of a mark's packets: as said, else that of the first real server that is not
    /// behind a tunnel.
    fn mark_family(&self, given: Fields<'_>) -> Family {
        match given.text(&["ip_family"]).as_deref() {
            Some("inet6") => return Family::Ipv6,
            Some("inet") => return Family::Ipv4,
            _ => {}
        }
        given
            .all(&["real_server"])
            .filter_map(|server| server.arguments.first()?.text.parse().ok())
            .next()
            .map_or(Family::Ipv4, Family::of)
    }

    pub(super) fn keys(
        &mut self,
        name: &VirtualServerName,
        protocol: Protocol,
        statement: &Statement,
    ) -> Vec<ServiceKey> {
        let at = |address, port| ServiceKey::Address {
            protocol,
            address,
            port,
        };
        match name {
            VirtualServerName::Address { address, port } => vec![at(*address, *port)],
            VirtualServerName::Mark { mark, family } => vec![ServiceKey::Mark {
                mark: *mark,
                family: *family,
            }],
            VirtualServerName::Group(name) => {
                let group = self.groups.iter().find(|group| group.name == *name);
                let Some(group) = group else {
                    return Vec::new();
                };
                let family = group.addresses.first().map_or_else(
                    || self.mark_family(Fields(statement.inner())),
                    |(address, _)| Family::of(*address),
                );
                let addresses = group
                    .addresses
                    .iter()
                    .map(|&(address, port)| at(address, port));
                let marks = group.marks.iter().map(|&(mark, said)| ServiceKey::Mark {
                    mark,
                    family: said.unwrap_or(family),
                });
                addresses.chain(marks).collect()
            }
        }
    }
}
