//! The options of `xvs trace`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use model::{Prefix, TraceRequest};

/// Which packets to tell of, and how.
#[derive(Debug, Args)]
pub struct TraceOptions {
    /// Packets of this client, or of clients in this prefix
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    client: Option<Prefix>,
    /// Packets to or from this virtual address
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    vip: Option<Prefix>,
    /// Packets to or from this real server
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    server: Option<Prefix>,
    /// Packets with this port at either end, before or after they are rewritten
    #[arg(long)]
    port: Option<u16>,
    /// Only packets that are dropped, or answered with an error
    #[arg(long)]
    dropped: bool,
    /// Only packets that meet their verdict for this reason (the names are those of `xvs status')
    #[arg(long = "reason", value_name = "NAME")]
    reasons: Vec<String>,
    /// Packets too that concern no virtual service
    #[arg(long)]
    all: bool,
    /// One packet of so many, as in 1/1000
    #[arg(long, value_name = "1/N", value_parser = sample, default_value = "1/1")]
    sample: u32,
    /// How many packets a processor may tell of in a second; what is over that is counted
    #[arg(long, value_name = "PACKETS", default_value_t = TraceRequest::PER_SECOND, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// End after so many packets
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// Say what would become of a packet that nobody sends: see --tcp and --udp
    #[arg(long, requires = "virtual_packet", conflicts_with_all = ["count", "seconds", "client", "vip", "server", "port", "dropped", "reasons", "all"])]
    pub explain: bool,
    /// The packet to explain
    #[command(flatten)]
    pub packet: PacketOptions,
    /// How to tell of packets
    #[arg(long, value_enum, default_value = "readable")]
    format: Format,
    /// Print JSON, an object a line
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write a pcapng file, for Wireshark and tcpdump -r
    #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "json"])]
    pub write: Option<PathBuf>,
}

/// A packet that nobody sends.
#[derive(Debug, Args)]
pub struct PacketOptions {
    /// Explain a TCP segment from here to there
    #[arg(long, group = "virtual_packet", requires = "explain", num_args = 2, value_names = ["SOURCE:PORT", "DESTINATION:PORT"])]
    pub tcp: Option<Vec<SocketAddr>>,
    /// Explain a UDP datagram from here to there
    #[arg(long, group = "virtual_packet", requires = "explain", num_args = 2, value_names = ["SOURCE:PORT", "DESTINATION:PORT"])]
    pub udp: Option<Vec<SocketAddr>>,
    /// The segment's flags: SYN, ACK, FIN, RST, PSH and URG
    #[arg(
        long,
        requires = "tcp",
        value_delimiter = ',',
        value_name = "FLAG,...",
        default_value = "SYN"
    )]
    pub flags: Vec<String>,
    /// The interface that it comes in by [default: the one that leads to its source]
    #[arg(long = "in", value_name = "INTERFACE", requires = "explain")]
    pub interface: Option<String>,
    /// The firewall mark that it comes with
    #[arg(long, requires = "explain", default_value_t = 0)]
    pub mark: u32,
    /// Its time to live, or hop limit
    #[arg(long, requires = "explain", default_value_t = 64)]
    pub ttl: u8,
    /// Bytes of its payload
    #[arg(long, requires = "explain", default_value_t = 0)]
    pub payload: u16,
}

/// How packets are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What a packet was, what became of it, and why
    Readable,
    /// As netfilter's LOG target: a line when it came, a line when it left
    Log,
    /// As tcpdump -e: a line when it came, a line when it left
    Tcpdump,
    /// An object a line
    Json,
    /// For Wireshark: both packets, with the decision as a comment
    Pcapng,
}

impl TraceOptions {
    /// What the daemon is asked.
    pub fn request(&self) -> TraceRequest {
        TraceRequest {
            client: self.client,
            vip: self.vip,
            server: self.server,
            port: self.port,
            dropped: self.dropped,
            reasons: self.reasons.clone(),
            everything: self.all,
            sample: self.sample,
            per_second: self.rate,
        }
    }

    /// How packets are told of.
    pub fn format(&self) -> Format {
        match (self.json, &self.write) {
            (true, _) => Format::Json,
            (_, Some(_)) => Format::Pcapng,
            _ => self.format,
        }
    }
}

/// Reads `1/1000`, or `1000` for the same.
fn sample(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("1/").unwrap_or(text).parse().ok();
    let number = number.filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{text}' is no sample; 1/1000 takes one packet of 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_one_of_so_many() {
        assert_eq!(sample("1/1000"), Ok(1000));
        assert_eq!(sample("10"), Ok(10));
        for wrong in ["0", "1/0", "2/3", "", "1/"] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }
}
