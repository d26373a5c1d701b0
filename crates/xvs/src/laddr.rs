//! `xvs laddr`: services' local addresses, which real servers under FULLNAT see.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use adm::Director as _;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use model::{Command, Protocol, ServiceKey, ServiceStatus};
use serde_json::json;

use crate::place;

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
}

impl Which {
    fn key(&self) -> Option<ServiceKey> {
        let named = [
            (Protocol::Tcp, self.tcp_service),
            (Protocol::Udp, self.udp_service),
        ];
        let (protocol, end) = named
            .into_iter()
            .find_map(|(protocol, end)| Some((protocol, end?)))?;
        Some(ServiceKey::Address {
            protocol,
            address: end.ip(),
            port: end.port(),
        })
    }

    fn required(&self) -> Result<ServiceKey> {
        self.key()
            .ok_or_else(|| anyhow!("no service is named\nhint: name it by -t or -u ADDRESS:PORT"))
    }
}

/// Carries the command out.
pub fn main(command: &LaddrCommand) -> Result<ExitCode> {
    let mut director = place::client()?;
    director
        .connect()
        .map_err(|error| anyhow!("{error}\nhint: {}", error.hint))?;
    let change = match command {
        LaddrCommand::Add(Pair { service, laddr }) => Command::AddLocalAddress {
            service: service.required()?,
            address: *laddr,
        },
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
    for outcome in director.apply_all(vec![change])? {
        outcome?;
    }
    Ok(ExitCode::SUCCESS)
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
        println!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(());
    }
    println!("{:<40} LocalAddress", "Service");
    for (service, addresses) in pools {
        for address in addresses {
            println!("{:<40} {address}", service.to_string());
        }
    }
    Ok(())
}
