//! The plots of a report: which of its rows become which lines.

use std::fs;
use std::path::Path;

use crate::chart::{Chart, Line};
use crate::error::{Error, refused};
use crate::report::{Group, Report, Row};

/// What stands between a case's method and its number of flows.
const KNOWN: &str = ": known connection, ";
const FLOWS: &str = " flows";
/// Begins the titles of the groups of the network part.
pub const THROUGH: &str = "Packets through the director, veth";

/// Draws into a folder what there are measurements for: `packet.svg`, nanoseconds a packet in the
/// XDP program by number of flows; `way.svg`, the same for the whole way from sender to receiver,
/// with the peers; `processors.svg`, millions of packets a second by processors.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn draw(report: &Report, folder: &Path) -> Result<(), Error> {
    let charts = [
        ("packet.svg", packet(report)),
        ("way.svg", way(report)),
        ("processors.svg", processors(report)),
    ];
    fs::create_dir_all(folder).map_err(refused(folder.display().to_string()))?;
    for (name, chart) in charts {
        let Some(chart) = chart else { continue };
        let path = folder.join(name);
        fs::write(&path, chart.svg()).map_err(refused(path.display().to_string()))?;
    }
    Ok(())
}

/// The XDP program's known connections, with the empty program. `None` where none were measured.
fn packet(report: &Report) -> Option<Chart> {
    let group = group(report, "XDP program")?;
    let mut lines = by_flows(group, |nanoseconds| nanoseconds);
    let empty = group.rows.iter().find(|row| row.case == "empty program");
    let right = lines.first()?.points.last()?.0;
    lines.extend(empty.map(|row| Line {
        name: row.case.clone(),
        points: vec![(0.0, row.median), (right, row.median)],
    }));
    Some(Chart {
        title: "One packet through the XDP program: ns by number of flows".to_owned(),
        marks: powers(&[0, 5, 10, 15, 20]),
        lines,
    })
}

/// Everything that a packet takes, sending and receiving included, with the peers.
fn way(report: &Report) -> Option<Chart> {
    let group = group(report, "by number of flows")?;
    Some(Chart {
        title: "From sender to receiver, on one processor: ns a packet by number of flows"
            .to_owned(),
        marks: powers(&[0, 4, 8, 12, 16]),
        lines: by_flows(group, |millions| 1000.0 / millions),
    })
}

fn processors(report: &Report) -> Option<Chart> {
    let one = group(report, "one processor")?;
    let two = group(report, "two processors")?;
    let lines = two.rows.iter().filter_map(|row| {
        // One processor's rows say that they are on XDP.
        let same = one
            .rows
            .iter()
            .find(|other| other.case.starts_with(&row.case) && other.case.ends_with("XDP"))?;
        Some(Line {
            name: row.case.clone(),
            points: vec![(1.0, same.median), (2.0, row.median)],
        })
    });
    Some(Chart {
        title: "Million packets a second on XDP, by processors".to_owned(),
        marks: [0, 1, 2]
            .map(|number| (f64::from(number), number.to_string()))
            .into(),
        lines: lines.collect(),
    })
}

fn group<'a>(report: &'a Report, words: &str) -> Option<&'a Group> {
    let mut groups = report.groups.iter();
    groups.find(|group| group.title.contains(words))
}

/// Numbers of flows, at the places of their logarithms.
fn powers(of_two: &[u32]) -> Vec<(f64, String)> {
    let marks = of_two.iter();
    marks
        .map(|&power| (f64::from(power), (1_u32 << power).to_string()))
        .collect()
}

/// A line for everything whose known connections were measured with several numbers of flows.
fn by_flows(group: &Group, nanoseconds: impl Fn(f64) -> f64) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (row, name, flows) in group.rows.iter().filter_map(known) {
        let point = (flows.log2(), nanoseconds(row.median));
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                name: name.to_owned(),
                points: vec![point],
            }),
        }
    }
    lines
}

/// What is measured in a row, and with how many flows.
fn known(row: &Row) -> Option<(&Row, &str, f64)> {
    let (name, flows) = row.case.split_once(KNOWN)?;
    let flows = flows.strip_suffix(FLOWS)?.parse().ok()?;
    Some((row, name, flows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Machine;

    fn report(groups: &[(&str, &[(&str, f64)])]) -> Report {
        let row = |&(case, median): &(&str, f64)| Row::of(case, vec![median], |median| median);
        let groups = groups.iter();
        let groups =
            groups.map(|(title, rows)| Group::new(*title, "", "", rows.iter().map(row).collect()));
        Report {
            machine: Machine::this(),
            groups: groups.collect(),
        }
    }

    #[test]
    fn every_method_is_a_line_through_its_medians() {
        let report = report(&[(
            "One packet through the XDP program",
            &[
                ("empty program", 25.0),
                ("IPv4 NAT: known connection, 1 flows", 50.0),
                ("IPv4 NAT: known connection, 1048576 flows", 200.0),
                ("IPv4 NAT: new connection, 1048576 in a row", 400.0),
            ],
        )]);
        let drawn = packet(&report).unwrap().svg();
        assert_eq!(drawn.matches("<polyline").count(), 2);
        // A quarter up from the bottom left, and the top right corner.
        let line = "points=\"60.0,295.0 620.0,40.0\"";
        assert!(drawn.contains(line), "{drawn}");
    }

    #[test]
    fn rates_become_nanoseconds_of_the_whole_way() {
        let report = report(&[(
            "Packets, by number of flows",
            &[
                ("nftables DNAT: known connection, 1 flows", 0.5),
                ("nftables DNAT: known connection, 65536 flows", 0.25),
            ],
        )]);
        let lines = way(&report).unwrap().lines;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].points, [(0.0, 2000.0), (16.0, 4000.0)]);
    }

    #[test]
    fn one_and_two_processors_make_a_line() {
        let report = report(&[
            (
                "Packets, one processor, 1024 flows",
                &[
                    ("xvs VS/NAT on TC", 0.9),
                    ("xvs VS/NAT on XDP", 3.5),
                    ("redirection alone, XDP", 3.8),
                ],
            ),
            (
                "Packets, two processors",
                &[("redirection alone", 7.2), ("xvs VS/NAT", 6.3)],
            ),
        ]);
        let lines = processors(&report).unwrap().lines;
        let points: Vec<_> = lines.iter().map(|line| &line.points[..]).collect();
        assert_eq!(points, [[(1.0, 3.8), (2.0, 7.2)], [(1.0, 3.5), (2.0, 6.3)]]);
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let report = report(&[]);
        assert!(packet(&report).is_none());
        assert!(way(&report).is_none());
        assert!(processors(&report).is_none());
    }
}
