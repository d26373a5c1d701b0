//! Nanoseconds per packet by number of flows, as an SVG file.

use std::fmt::Write as _;

use crate::report::{Group, Report};

/// What stands between a case's method and its number of flows.
const KNOWN: &str = ": known connection, ";
const FLOWS: &str = " flows";
/// The drawing area, in pixels: left, top, width, height.
const AREA: (f64, f64, f64, f64) = (60.0, 40.0, 560.0, 340.0);
/// The number of flows at the right end, as a power of two.
const MOST: f64 = 20.0;
const COLOURS: [&str; 8] = [
    "#1b6ca8", "#c0392b", "#27ae60", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#2c3e50",
];

/// A line: its name, and nanoseconds by the number of flows as a power of two.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws the XDP program's known connections, with the empty program. `None` where none were measured.
pub fn draw(report: &Report) -> Option<String> {
    let group = report
        .groups
        .iter()
        .find(|group| group.title.contains("XDP program"))?;
    let mut lines = known(group);
    if lines.is_empty() {
        return None;
    }
    let empty = group.rows.iter().find(|row| row.case == "empty program");
    lines.extend(empty.map(|row| Line {
        name: row.case.clone(),
        points: vec![(0.0, row.median), (MOST, row.median)],
    }));
    let values = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(_, value)| *value);
    let top = (values.fold(0.0, f64::max) / 100.0).ceil() * 100.0;
    Some(svg(&group.title, &lines, top))
}

/// A line for each method.
fn known(group: &Group) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in &group.rows {
        let Some((name, flows)) = row.case.split_once(KNOWN) else {
            continue;
        };
        let Some(flows) = flows
            .strip_suffix(FLOWS)
            .and_then(|flows| flows.parse::<f64>().ok())
        else {
            continue;
        };
        let point = (flows.log2(), row.median);
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

fn svg(title: &str, lines: &[Line], top: f64) -> String {
    let (left, up, width, height) = AREA;
    let x = |power: f64| left + power / MOST * width;
    let y = |value: f64| up + height - value / top * height;
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 430\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"820\" height=\"430\" fill=\"#fff\"/>\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"20\" font-size=\"14\">{title}: ns by flows</text>"
    );
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let (at, end) = (y(value), left + width);
        let _ = writeln!(
            text,
            "<path d=\"M{left} {at}H{end}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
            left - 6.0,
            at + 4.0
        );
    }
    for power in [0, 5, 10, 15, 20] {
        let (at, below) = (x(f64::from(power)), up + height + 18.0);
        let flows = 1_u32 << power;
        let _ = writeln!(
            text,
            "<text x=\"{at}\" y=\"{below}\" text-anchor=\"middle\">{flows}</text>"
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<String> = line
            .points
            .iter()
            .map(|(power, value)| format!("{:.1},{:.1}", x(*power), y(*value)))
            .collect();
        let (beside, at) = (left + width + 14.0, up + 18.0 * number as f64 + 12.0);
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{beside}\" y=\"{at}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            line.name
        );
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Machine, Row};

    #[test]
    fn every_method_is_a_line_through_its_medians() {
        let row = |case: &str, median| Row::of(case, vec![median], |median| median);
        let rows = vec![
            row("empty program", 25.0),
            row("IPv4 NAT: known connection, 1 flows", 50.0),
            row("IPv4 NAT: known connection, 1048576 flows", 200.0),
            row("IPv4 NAT: new connection, 1048576 in a row", 400.0),
        ];
        let groups = vec![Group::new(
            "One packet through the XDP program",
            "ns",
            "",
            rows,
        )];
        let machine = Machine::this();
        let drawn = draw(&Report { machine, groups }).unwrap();
        assert_eq!(drawn.matches("<polyline").count(), 2);
        // A quarter up from the bottom left, and the top right corner.
        assert!(
            drawn.contains("points=\"60.0,295.0 620.0,40.0\""),
            "{drawn}"
        );
    }
}
