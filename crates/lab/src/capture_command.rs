//! `xvs lab capture`: what is on a host's wires, as it comes, until Ctrl-C.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use crate::capture::{Sighting, Wires};
use crate::definition::{Direction, Host, Lab};
use crate::error::LabError;

/// Arguments of `capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Name of a lab that is up, or path of its file
    pub lab: String,
    /// Host of the lab
    pub host: String,
    /// Only what is on this interface
    #[arg(long)]
    interface: Option<String>,
    /// End after so many packets
    #[arg(long)]
    count: Option<u64>,
    /// Print JSON, an object a line
    #[arg(long, conflicts_with = "pcapng")]
    json: bool,
    /// Write a pcapng file, for Wireshark and tcpdump -r
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
}

/// Shows or writes what is on a host's wires.
pub(crate) fn run(args: &CaptureArgs, lab: &Lab, host: &Host) -> Result<ExitCode, LabError> {
    let mut wires = Wires::open(lab)?;
    let mut sink = Sink::open(args, host)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some((sighting, frame)) = wires.next_frame()? else {
            continue;
        };
        let is_wanted = *sighting.host == *host.name
            && (args.interface.as_deref()).is_none_or(|wanted| wanted == &*sighting.interface);
        if is_wanted {
            sink.take(&sighting, frame)?;
            left -= 1;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where packets go.
enum Sink<'a> {
    Text,
    Json,
    Pcapng(Box<Pcapng<'a>>),
}

impl<'a> Sink<'a> {
    fn open(args: &CaptureArgs, host: &'a Host) -> Result<Self, LabError> {
        Ok(match &args.pcapng {
            Some(path) => Self::Pcapng(Box::new(Pcapng::create(path, host)?)),
            None if args.json => Self::Json,
            None => Self::Text,
        })
    }

    fn take(&mut self, sighting: &Sighting, frame: &[u8]) -> Result<(), LabError> {
        let text = match self {
            Self::Pcapng(file) => return file.write(sighting, frame),
            Self::Text => line(sighting),
            Self::Json => {
                serde_json::to_string(sighting).map_err(|error| LabError::Output(error.into()))?
            }
        };
        // A line at a time, so that it can be watched through a pipe.
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(LabError::Output)
    }
}

/// As `tcpdump -enni any` prints it, with seconds of the day in UTC.
fn line(sighting: &Sighting) -> String {
    let Sighting {
        at,
        interface,
        direction,
        packet,
        ..
    } = sighting;
    let (seconds, micros) = (at.as_secs() % 86_400, at.subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let direction = match direction {
        Direction::In => "In ",
        Direction::Out => "Out",
    };
    format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06} {interface:<5} {direction} {packet}")
}

/// A pcapng file (draft-ietf-opsawg-pcapng) with the host's interfaces.
struct Pcapng<'a> {
    path: PathBuf,
    host: &'a Host,
    writer: PcapNgWriter<File>,
}

impl<'a> Pcapng<'a> {
    fn create(path: &Path, host: &'a Host) -> Result<Self, LabError> {
        let failed = |error: PcapError| not_written(path, error);
        let file = File::create(path).map_err(|source| LabError::State {
            path: path.to_owned(),
            source,
        })?;
        let mut writer = PcapNgWriter::new(file).map_err(failed)?;
        for interface in &host.interfaces {
            let name = Cow::Owned(format!("{}.{}", host.name, interface.name));
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(name),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            };
            writer.write_pcapng_block(block).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            host,
            writer,
        })
    }

    fn write(&mut self, sighting: &Sighting, frame: &[u8]) -> Result<(), LabError> {
        let mut interfaces = self.host.interfaces.iter();
        let number = interfaces.position(|interface| interface.name == *sighting.interface);
        let number = number.expect("what is captured is on an interface of the host");
        let flags = match sighting.direction {
            Direction::In => INBOUND,
            Direction::Out => OUTBOUND,
        };
        let block = EnhancedPacketBlock {
            interface_id: number as u32,
            timestamp: sighting.at,
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options: vec![EnhancedPacketOption::Flags(flags)],
        };
        let written = self.writer.write_pcapng_block(block);
        written
            .map(|_length| ())
            .map_err(|error| not_written(&self.path, error))
    }
}

/// `if_tsresol`: timestamps are in units of 10^-9 s.
const NANOSECONDS: u8 = 9;
/// `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

fn not_written(path: &Path, error: PcapError) -> LabError {
    LabError::State {
        path: path.to_owned(),
        source: io::Error::other(error),
    }
}
