//! `xvs realserver`: a real server of VS/TUN, without a tunnel device.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use realserver::{RealServer, Settings, Tunnels};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing_subscriber::EnvFilter;

/// What `xvs realserver` is told. Without `--ipip`, `--gre` and `--gue`, all three end here.
#[derive(Debug, Args)]
pub struct RealServerOptions {
    /// Take packets to this address out of their tunnels; may be given several times. Without it,
    /// packets to the addresses on lo
    #[arg(long = "vip", value_name = "ADDRESS")]
    virtual_addresses: Vec<IpAddr>,
    /// Look at this interface; may be given several times. Without it, at all with Ethernet frames
    #[arg(long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,
    /// IP in IP ends here
    #[arg(long)]
    ipip: bool,
    /// GRE ends here
    #[arg(long)]
    gre: bool,
    /// GUE ends here
    #[arg(long)]
    gue: bool,
    /// The UDP port of GUE: that of ipvsadm's --tun-port
    #[arg(long, value_name = "PORT", default_value = "6080")]
    gue_port: NonZeroU16,
    /// Print what became of packets every so many seconds; SIGUSR1 prints it once
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "1",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    stats: Option<u64>,
}

impl RealServerOptions {
    fn settings(&self) -> Settings {
        let all = !(self.ipip || self.gre || self.gue);
        Settings {
            tunnels: Tunnels {
                ipip: self.ipip || all,
                gre: self.gre || all,
                gue: (self.gue || all).then_some(self.gue_port.get()),
            },
            virtual_addresses: self.virtual_addresses.clone(),
            interfaces: self.interfaces.clone(),
        }
    }
}

/// Opens tunnels until the process is told to end.
pub fn main(options: &RealServerOptions) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    plane_bpf::probe()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime")?;
    runtime.block_on(serve(options))
}

async fn serve(options: &RealServerOptions) -> Result<ExitCode> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut asked = signal(SignalKind::user_defined1())?;
    let mut server = RealServer::start(options.settings()).await?;
    let status = server.status()?;
    say(&status)?;
    if status.virtual_addresses.is_empty() {
        tracing::warn!(
            "there is no virtual address yet; put it on lo (ip address add ADDRESS/32 dev lo), or name it with --vip"
        );
    }
    say(&"ready\n")?;
    let mut ticks = options.stats.map(every);
    loop {
        tokio::select! {
            followed = server.follow() => followed?,
            _ = asked.recv() => say(&server.status()?)?,
            () = tick(&mut ticks) => say(&server.status()?)?,
            _ = int.recv() => break,
            _ = term.recv() => break,
        }
    }
    say(&server.status()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints at once: whoever waits for it may read a pipe.
fn say(what: &dyn Display) -> io::Result<()> {
    let mut out = io::stdout();
    write!(out, "{what}")?;
    out.flush()
}

/// A clock whose first tick is a whole period away.
fn every(seconds: u64) -> Interval {
    let mut interval = interval(Duration::from_secs(seconds));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

/// The next tick, or never.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
