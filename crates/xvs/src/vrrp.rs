//! `xvs vrrp`.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use vrrp::{Event, State, Status, Transition};

use crate::{output, place};

/// Asks the daemon and prints what it says; with `watch`, goes on with what happens.
pub fn main(json: bool, watch: bool) -> Result<ExitCode> {
    let mut client = place::connected()?;
    let routers = client.vrrp()?;
    output::json_or(json, &routers, || text(&routers))?;
    if watch {
        let mut out = std::io::stdout().lock();
        for event in client.vrrp_events()? {
            let event = event?;
            match json {
                true => writeln!(out, "{}", serde_json::to_string(&event)?)?,
                false => writeln!(out, "{}", line(&event))?,
            }
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A change of state for people, with the time of day in UTC.
fn line(event: &Event) -> String {
    let Event {
        instance,
        priority,
        transition,
    } = event;
    let Transition {
        from,
        to,
        cause,
        utc_ms,
    } = transition;
    let (seconds, milliseconds) = (utc_ms / 1000, utc_ms % 1000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{milliseconds:03} {instance}, priority {priority}: {from} -> {to}: {cause}",
        seconds % 60
    )
}

/// The virtual routers for people.
pub fn text(routers: &[Status]) -> String {
    let mut out = String::new();
    if routers.is_empty() {
        out += "no virtual routers: the configuration has no vrrp_instance\n";
    }
    for router in routers {
        // Writing to a string cannot fail.
        let _ = write_router(&mut out, router);
    }
    out
}

fn write_router(out: &mut String, router: &Status) -> fmt::Result {
    write!(out, "{} {}", router.name, router.state)?;
    if let (Some(since), Some(last)) = (router.state_ms, &router.last) {
        write!(
            out,
            " for {}, from {}: {}",
            time(since),
            last.from,
            last.cause
        )?;
    }
    let version = match router.version {
        vrrp::Version::V2 => 2,
        vrrp::Version::V3 => 3,
    };
    write!(
        out,
        "\n  virtual router {} on {}, version {version}, priority {}",
        router.virtual_router, router.interface, router.priority
    )?;
    if router.priority != router.base_priority {
        write!(out, " ({} without what is tracked)", router.base_priority)?;
    }
    writeln!(out)?;
    let addresses: Vec<String> = router.addresses.iter().map(ToString::to_string).collect();
    writeln!(out, "  addresses  {}", addresses.join(" "))?;
    write_timers(out, router)?;
    for peer in &router.peers {
        let what = match peer.priority {
            0 => "resigned".to_owned(),
            priority => format!("priority {priority}, every {}", time(peer.interval_ms)),
        };
        writeln!(
            out,
            "  heard      {} {} ago: {what}",
            peer.address,
            time(peer.heard_ms_ago)
        )?;
    }
    if let Some(refusal) = &router.last_refusal {
        writeln!(
            out,
            "  refused    {} adverts, the last one {refusal}",
            router.refused
        )?;
    }
    Ok(())
}

fn write_timers(out: &mut String, router: &Status) -> fmt::Result {
    write!(
        out,
        "  timers     adverts every {}",
        time(router.interval_ms)
    )?;
    if let Some(source) = router.source {
        write!(out, " from {source}")?;
    }
    match (router.state, router.timer_ms) {
        (State::Master, Some(next)) => write!(out, ", the next in {}", time(next))?,
        (State::Backup, Some(left)) => write!(
            out,
            ", takes over after {} without one, {} left",
            time(router.master_down_ms),
            time(left)
        )?,
        _ => {}
    }
    writeln!(out)
}

/// Milliseconds as a person says them.
fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", seconds, milliseconds / 100 % 10),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use vrrp::{Cause, Peer, Version};

    use super::*;

    fn router(state: State) -> Status {
        let other = "10.9.0.2".parse().unwrap();
        Status {
            name: "VI_1".to_owned(),
            interface: "eth0".to_owned(),
            virtual_router: 51,
            version: Version::V2,
            state,
            state_ms: Some(192_500),
            priority: 100,
            base_priority: 150,
            addresses: vec!["10.9.0.100".parse().unwrap(), "10.9.0.101".parse().unwrap()],
            source: Some("10.9.0.1".parse().unwrap()),
            last: Some(Transition {
                from: State::Backup,
                to: state,
                cause: Cause::Silence(3609),
                utc_ms: 0,
            }),
            peers: vec![Peer {
                address: other,
                priority: 0,
                interval_ms: 1000,
                heard_ms_ago: 4100,
            }],
            interval_ms: 1000,
            master_down_ms: 3609,
            timer_ms: Some(312),
            refused: 3,
            last_refusal: Some("from 10.9.0.9: its password is another than ours".to_owned()),
        }
    }

    #[test]
    fn a_master_says_since_when_and_why() {
        assert_eq!(
            text(&[router(State::Master)]),
            "VI_1 MASTER for 3 min 12 s, from BACKUP: no advert for 3609 ms\n  \
             virtual router 51 on eth0, version 2, priority 100 (150 without what is tracked)\n  \
             addresses  10.9.0.100 10.9.0.101\n  \
             timers     adverts every 1.0 s from 10.9.0.1, the next in 312 ms\n  \
             heard      10.9.0.2 4.1 s ago: resigned\n  \
             refused    3 adverts, the last one from 10.9.0.9: its password is another than ours\n"
        );
    }

    #[test]
    fn a_backup_says_when_it_takes_over() {
        let text = text(&[router(State::Backup)]);
        assert!(
            text.contains("takes over after 3.6 s without one, 312 ms left"),
            "{text}"
        );
    }

    #[test]
    fn a_change_is_a_line_with_its_time_and_cause() {
        let event = Event {
            instance: "VI_1".to_owned(),
            priority: 100,
            transition: Transition {
                from: State::Backup,
                to: State::Master,
                cause: Cause::Silence(3609),
                utc_ms: 1_800_000_062_007,
            },
        };
        assert_eq!(
            line(&event),
            "08:01:02.007 VI_1, priority 100: BACKUP -> MASTER: no advert for 3609 ms"
        );
    }

    #[test]
    fn a_director_without_virtual_routers_says_so() {
        assert!(text(&[]).contains("no vrrp_instance"));
    }
}
