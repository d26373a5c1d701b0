//! `xvs trace`: what becomes of packets, one by one.

mod explain;
mod frame;
mod log;
mod options;
mod pcapng;
mod readable;
mod remedy;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use model::{TraceNews, TraceTally, TracedPacket};

use options::Format;
pub use options::TraceOptions;
use pcapng::Pcapng;

use crate::place;
use crate::settings::explained;

/// Says what becomes of packets, until enough are told of or nobody reads any more.
pub fn main(options: &TraceOptions) -> Result<ExitCode> {
    let told = if options.explain {
        explain(options)
    } else {
        follow(options)
    };
    match told {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // As of `head`, which has read enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Says what would become of a packet.
fn explain(options: &TraceOptions) -> Result<()> {
    let request = explain::request(&options.packet)?;
    let mut sink = Sink::open(options)?;
    let mut client = place::connected()?;
    for packet in client.explain(&request).map_err(explained)? {
        sink.take(&packet)?;
    }
    Ok(())
}

fn follow(options: &TraceOptions) -> Result<()> {
    let mut sink = Sink::open(options)?;
    let mut client = place::connected()?;
    let end = options
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut left = options.count.unwrap_or(u64::MAX);
    let mut tally = TraceTally::default();
    for news in client.trace(&options.request()).map_err(explained)? {
        match news.map_err(explained)? {
            TraceNews::Begun(interfaces) => {
                let names: Vec<&str> = interfaces.iter().map(|it| it.name.as_str()).collect();
                tell_begun(&names);
            }
            TraceNews::Packet(packet) => {
                sink.take(&packet)?;
                if !packet.goes_on() {
                    left -= 1;
                }
            }
            TraceNews::Tally(now) => {
                if now.missing() != tally.missing() {
                    tell_missing(&now);
                }
                tally = now;
            }
        }
        if left == 0 || end.is_some_and(|end| Instant::now() >= end) {
            return sink.flush();
        }
    }
    bail!("the daemon has ended the trace\nhint: look into its log")
}

/// For whoever waits for the first packet.
fn tell_begun(interfaces: &[&str]) {
    let on = match interfaces {
        [] => "no interface yet: there is no service, or none leads to one".to_owned(),
        names => names.join(", "),
    };
    eprintln!("tracing on {on}");
}

fn tell_missing(tally: &TraceTally) {
    eprintln!(
        "{} of {} packets not reported: {} over the rate, {} not read in time",
        tally.missing(),
        tally.matched - tally.sampled_out,
        tally.withheld,
        tally.lost
    );
}

/// Where packets go.
enum Sink {
    Text {
        out: BufWriter<io::Stdout>,
        write: fn(&mut dyn Write, &TracedPacket) -> Result<()>,
    },
    Pcapng(Box<Pcapng<Box<dyn Write>>>),
}

impl Sink {
    fn open(options: &TraceOptions) -> Result<Self> {
        let write = match options.format() {
            Format::Readable => readable::write,
            Format::Log => log::write,
            Format::Tcpdump => frame::write_tcpdump,
            Format::Json => write_json,
            Format::Pcapng => {
                let out: Box<dyn Write> = match &options.write {
                    Some(path) => {
                        let file = std::fs::File::create(path)
                            .with_context(|| format!("cannot write {}", path.display()))?;
                        Box::new(BufWriter::new(file))
                    }
                    None => Box::new(BufWriter::new(io::stdout())),
                };
                return Ok(Self::Pcapng(Box::new(Pcapng::begin(out)?)));
            }
        };
        Ok(Self::Text {
            out: BufWriter::new(io::stdout()),
            write,
        })
    }

    /// Writes a packet, so that it can be seen at once.
    fn take(&mut self, packet: &TracedPacket) -> Result<()> {
        match self {
            Self::Text { out, write } => write(out, packet)?,
            Self::Pcapng(file) => file.write(packet)?,
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Text { out, .. } => out.flush()?,
            Self::Pcapng(file) => file.flush()?,
        }
        Ok(())
    }
}

fn write_json(out: &mut dyn Write, packet: &TracedPacket) -> Result<()> {
    serde_json::to_writer(&mut *out, packet)?;
    writeln!(out)?;
    Ok(())
}
