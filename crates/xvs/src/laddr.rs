//! `xvs laddr`: services' local addresses, which real servers under FULLNAT see.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::process::ExitCode;

use adm::Director as _;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use model::{Command, Family, Protocol, ServiceKey, ServiceStatus};
use serde_json::json;

use crate::{output, place};

/// What to do with local addresses.
#[derive(Debug, Subcommand)]
pub enum LaddrCommand {
    /// Give a service one more local address; it must be on this machine
    Add(Pair),
    /// Take a local address from a service; connections that have it keep it
    Del(Pair),
    /// List services' local addresses
    List {
        #[command(flatten)]
        service: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A service and an address.
#[derive(Debug, Args)]
pub struct Pair {
    #[command(flatten)]
    service: Which,
    /// The local address
    #[arg(short = 'z', long, value_name = "ADDRESS")]
    laddr: IpAddr,
}

/// A service, named as ipvsadm does.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Which {
    /// A TCP service
    #[arg(short, long, value_name = "ADDRESS:PORT")]
    tcp_service: Option<SocketAddr>,
    /// A UDP service
    #[arg(short, long, value_name = "ADDRESS:PORT")]
    udp_service: Option<SocketAddr>,
    /// The service of a firewall mark, for IPv4's packets
    #[arg(short, long, value_name = "MARK")]
    fwmark_service: Option<NonZeroU32>,
    /// The service of a firewall mark, for IPv6's packets
    #[arg(long, value_name = "MARK")]
    fwmark_service_v6: Option<NonZeroU32>,
}

impl Which {
    fn key(&self) -> Option<ServiceKey> {
        let addressed = |protocol, end: SocketAddr| ServiceKey::Address {
            protocol,
            address: end.ip(),
            port: end.port(),
        };
        let marked = |family, mark: NonZeroU32| ServiceKey::Mark {
            mark: mark.get(),
            family,
        };
        self.tcp_service
            .map(|end| addressed(Protocol::Tcp, end))
            .or_else(|| Some(addressed(Protocol::Udp, self.udp_service?)))
            .or_else(|| Some(marked(Family::Ipv4, self.fwmark_service?)))
            .or_else(|| Some(marked(Family::Ipv6, self.fwmark_service_v6?)))
    }

    fn required(&self) -> Result<ServiceKey> {
        self.key().ok_or_else(|| {
            anyhow!("no service is named\nhint: name it by -t or -u ADDRESS:PORT, or by -f MARK")
        })
    }
}

/// Carries the command out.
pub fn main(command: &LaddrCommand) -> Result<ExitCode> {
    let mut director = place::client()?;
    director
        .connect()
        .map_err(|error| anyhow!("{error}\nhint: {}", error.hint))?;
    let change = match command {
        LaddrCommand::Add(Pair { service, laddr }) => {
            let service = service.required()?;
            warn_unless_here(*laddr);
            Command::AddLocalAddress {
                service,
                address: *laddr,
            }
        }
        LaddrCommand::Del(Pair { service, laddr }) => Command::DeleteLocalAddress {
            service: service.required()?,
            address: *laddr,
        },
        LaddrCommand::List { service, json } => {
            let services = match service.key() {
                Some(key) => vec![director.service(key)?],
                None => director.services()?,
            };
            list(services, *json)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let outcomes = director.apply_all(&mut std::iter::once(change))?;
    let refused = outcomes.into_iter().find_map(Result::err);
    refused.map_or(Ok(ExitCode::SUCCESS), |refused| {
        match refused.hint.as_str() {
            "" => Err(refused.into()),
            hint => Err(anyhow!("{refused}\nhint: {hint}")),
        }
    })
}

/// Warns of a local address that real servers would answer to in vain. It may come later, as a
/// virtual router's do.
fn warn_unless_here(address: IpAddr) {
    if UdpSocket::bind((address, 0)).is_err() {
        let length = if address.is_ipv4() { 32 } else { 128 };
        eprintln!(
            "xvs: warning: {address} is no address of this machine now; until it is, answers to it are lost\n\
             hint: ip address add {address}/{length} dev INTERFACE, on the real servers' side"
        );
    }
}

fn list(services: Vec<ServiceStatus>, json: bool) -> Result<()> {
    let pools = services
        .into_iter()
        .map(|status| (status.service.key, status.local_addresses))
        .filter(|(_, addresses)| !addresses.is_empty());
    if json {
        let listed: Vec<serde_json::Value> = pools
            .map(|(service, addresses)| json!({"service": service, "local_addresses": addresses}))
            .collect();
        return output::print(|out| output::json(out, &listed)).map(drop);
    }
    let listed = output::print(|out| {
        writeln!(out, "{:<40} LocalAddress", "Service")?;
        for (service, addresses) in pools {
            for address in addresses {
                writeln!(out, "{:<40} {address}", service.to_string())?;
            }
        }
        Ok(())
    });
    listed.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_by_address_or_by_mark() {
        let named = Which {
            tcp_service: None,
            udp_service: None,
            fwmark_service: None,
            fwmark_service_v6: NonZeroU32::new(7),
        };
        let key = ServiceKey::Mark {
            mark: 7,
            family: Family::Ipv6,
        };
        assert_eq!(named.key(), Some(key));
    }
}
