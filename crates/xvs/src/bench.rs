//! `xvs bench`: packets for a director under test, as many as this machine can send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use ::bench::generator::{Count, Generator, Stream, parse_mac};
use anyhow::{Result, bail};
use clap::Args;

use crate::output::{self, Reader};

/// Clients where nobody chooses: RFC 2544's network for benchmarks, and RFC 5180's.
const CLIENTS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 19, 0, 0));
const CLIENTS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0));

/// What `xvs bench` is told.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// The interface to send by; its driver must have native XDP
    interface: String,
    /// The virtual service
    #[arg(value_name = "ADDRESS:PORT", value_parser = service)]
    service: SocketAddr,
    /// MAC of the director, or of the router towards it (`ip neighbour' tells it)
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac: [u8; 6],
    /// First of 65,536 clients' addresses, which nobody else should have; 198.19.0.0 or 2001:2::
    /// without it
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Clients' addresses and ports, 4096 to an address; a power of two, up to 2^28
    #[arg(long, value_name = "NUMBER", default_value_t = 1024, value_parser = flows)]
    flows: u32,
    /// Send SYNs only: each flow's first opens a connection, so choose as many flows as are to be opened
    #[arg(long)]
    new: bool,
    /// Send for so long; the flows' connections are opened before
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    seconds: u64,
    /// Print JSON, once at the end
    #[arg(long)]
    json: bool,
}

fn service(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "an address and a port are like 192.0.2.1:80 or [2001:db8::1]:80".to_owned())
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    parse_mac(text).ok_or_else(|| "a MAC address is like 02:00:00:00:00:01".to_owned())
}

fn flows(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &u32| number.is_power_of_two() && *number <= 1 << 28);
    number.ok_or_else(|| "a power of two, up to 268435456".to_owned())
}

/// Sends, and says every second how many packets left and came.
pub fn main(options: &BenchOptions) -> Result<ExitCode> {
    let stream = options.stream()?;
    plane_bpf::probe()?;
    let mut generator = Generator::new(&stream)?;
    generator.begin(true)?;
    // One SYN of each flow opens its connection; the fewest that are sent at once show whether
    // frames leave at all.
    let flows = if options.new { 0 } else { options.flows.into() };
    let opened = generator.send(|count| count.made < flows)?;
    if opened.left < opened.made / 2 {
        eprintln!("xvs: {}", not_left(&options.interface, opened));
    }
    if !options.new {
        generator.begin(false)?;
    }
    let mut all = Count::default();
    for _ in 0..options.seconds {
        let now = generator.send(|count| count.seconds < 1.0)?;
        all += now;
        let reader = match options.json {
            true => Reader::There,
            false => output::print(|out| Ok(writeln!(out, "{}", line(now))?))?,
        };
        if reader == Reader::Gone {
            break;
        }
    }
    output::json_or(options.json, &all, || format!("all: {}\n", line(all)))?;
    Ok(ExitCode::SUCCESS)
}

/// What to think of an interface that has counted few of the frames as sent.
fn not_left(interface: &str, Count { made, left, .. }: Count) -> String {
    format!(
        "warning: of {made} frames {interface} counts {left} as sent\n\
         hint: it must be up, and its driver have native XDP; a veth interface sends them where its \
         other end has GRO on: ethtool -K OTHER-END gro on. Some drivers do not count what XDP sends: \
         see what the director counts"
    )
}

impl BenchOptions {
    fn stream(&self) -> Result<Stream> {
        let usual = if self.service.is_ipv4() {
            CLIENTS
        } else {
            CLIENTS_V6
        };
        let clients = self.from.unwrap_or(usual);
        if clients.is_ipv4() != self.service.is_ipv4() {
            bail!(
                "the clients' address family (--from {clients}) is not that of {}\n\
                 hint: without --from, they are {usual} and those after it",
                self.service
            );
        }
        let begins = match clients {
            IpAddr::V4(address) => address.octets()[2..] == [0, 0],
            IpAddr::V6(address) => address.segments()[7] == 0,
        };
        if !begins {
            bail!("the last two bytes of --from {clients} must be 0\nhint: they count the clients");
        }
        Ok(Stream {
            interface: self.interface.clone(),
            mac: self.mac,
            service: self.service,
            clients,
            flows: self.flows,
        })
    }
}

/// Packets a second.
fn line(count: Count) -> String {
    let rate = |packets: u64| packets as f64 / count.seconds;
    format!(
        "{:.0} packets a second made, {:.0} left, {:.0} came",
        rate(count.made),
        rate(count.left),
        rate(count.came)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, try_parse};

    fn stream(words: &str) -> Result<Stream> {
        let words = format!("xvs bench eth0 {words} --mac 02:00:00:00:00:01");
        let Command::Bench(options) = try_parse(words.split(' '))? else {
            panic!("`bench' is understood as another command");
        };
        options.stream()
    }

    #[test]
    fn clients_are_of_the_services_family_and_begin_at_a_round_address() {
        assert_eq!(stream("192.0.2.1:80").unwrap().clients, CLIENTS);
        assert_eq!(stream("[2001:db8::1]:80").unwrap().clients, CLIENTS_V6);
        assert!(stream("192.0.2.1:80 --from 10.1.0.0").is_ok());
        assert!(stream("192.0.2.1:80 --from 10.1.2.3").is_err());
        assert!(stream("192.0.2.1:80 --from 2001:db8::").is_err());
    }

    #[test]
    fn flows_are_a_power_of_two() {
        assert!(stream("192.0.2.1:80 --flows 65536").is_ok());
        for wrong in ["0", "3", "536870912", "many"] {
            let words = format!("192.0.2.1:80 --flows {wrong}");
            assert!(stream(&words).is_err(), "{wrong}");
        }
    }
}
