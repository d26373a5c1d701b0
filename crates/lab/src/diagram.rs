//! A lab as a picture: which host is on which segment, by which interface and address.

use std::fmt::Write as _;

use serde::Serialize;

use crate::definition::{Host, Interface, Lab};

/// What a picture shows: hosts and segments in the order of the lab file.
#[derive(Debug, Serialize)]
pub(crate) struct Diagram {
    lab: String,
    title: String,
    segments: Vec<String>,
    hosts: Vec<Node>,
}

/// A host.
#[derive(Debug, Serialize)]
struct Node {
    name: String,
    /// What it is and has, beside its interfaces.
    notes: Vec<String>,
    plugs: Vec<Plug>,
}

/// A host's place on a segment.
#[derive(Debug, Serialize)]
struct Plug {
    interface: String,
    segment: String,
    mac: String,
    addresses: Vec<String>,
}

impl Diagram {
    pub fn of(lab: &Lab) -> Self {
        Self {
            lab: lab.name.clone(),
            title: lab.title.clone(),
            segments: lab.segments.clone(),
            hosts: lab.hosts.iter().map(Node::of).collect(),
        }
    }

    /// As lines: a tree to each segment, then what hosts are.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.lab, self.title);
        let names = self.widest(|node| node.name.as_str());
        for segment in &self.segments {
            let all: Vec<(&Node, &Plug)> = self.plugged(segment).collect();
            let _infallible = writeln!(text, "\n{segment}");
            for (at, (node, plug)) in all.iter().enumerate() {
                let branch = if at + 1 == all.len() {
                    "└─"
                } else {
                    "├─"
                };
                let _infallible = writeln!(
                    text,
                    "  {branch} {:<names$}  {:<5} {}  {}",
                    node.name,
                    plug.interface,
                    plug.mac,
                    plug.addresses.join(" ")
                );
            }
        }
        text.push('\n');
        for node in self.hosts.iter().filter(|node| !node.notes.is_empty()) {
            let _infallible = writeln!(text, "{:<names$}  {}", node.name, node.notes.join("; "));
        }
        text
    }

    fn widest<'a>(&'a self, of: impl Fn(&'a Node) -> &'a str) -> usize {
        let widths = self.hosts.iter().map(|node| of(node).chars().count());
        widths.max().unwrap_or(0)
    }

    fn plugged(&self, segment: &str) -> impl Iterator<Item = (&Node, &Plug)> {
        self.hosts.iter().flat_map(move |node| {
            let here = node
                .plugs
                .iter()
                .filter(move |plug| plug.segment == segment);
            here.map(move |plug| (node, plug))
        })
    }

    /// As an SVG picture: hosts are columns, segments are lines across them.
    pub fn svg(&self) -> String {
        let notes = self.hosts.iter().map(|node| node.notes.len()).max();
        let head = TOP + LINE * (notes.unwrap_or(0) + 1);
        let width = LEFT + COLUMN * self.hosts.len();
        let height = head + ROW * self.segments.len() + ROW / 2;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        svg_text(
            &mut svg,
            (12, 24),
            "bold",
            &format!("{}: {}", self.lab, self.title),
        );
        for (row, segment) in self.segments.iter().enumerate() {
            let y = head + ROW * row + ROW / 2;
            let _infallible = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{width}\" y2=\"{y}\" stroke=\"#357\" stroke-width=\"4\"/>"
            );
            svg_text(&mut svg, (12, y + 4), "bold", segment);
        }
        for (column, node) in self.hosts.iter().enumerate() {
            self.svg_host(&mut svg, node, LEFT + COLUMN * column, head);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// One column: a box with the host's name and notes, and a line down to each of its segments.
    fn svg_host(&self, svg: &mut String, node: &Node, x: usize, head: usize) {
        let (box_width, box_height) = (COLUMN - 16, head - TOP);
        let _infallible = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{TOP}\" width=\"{box_width}\" height=\"{box_height}\" rx=\"6\" \
             fill=\"#eef3f8\" stroke=\"#357\"/>"
        );
        svg_text(svg, (x + 8, TOP + 16), "bold", &node.name);
        for (line, note) in node.notes.iter().enumerate() {
            svg_text(svg, (x + 8, TOP + 16 + LINE * (line + 1)), "normal", note);
        }
        for (number, plug) in node.plugs.iter().enumerate() {
            let row = self.segments.iter().position(|name| *name == plug.segment);
            let y = head + ROW * row.unwrap_or(0) + ROW / 2;
            let at = x + 20 + 24 * number;
            let _infallible = writeln!(
                svg,
                "<line x1=\"{at}\" y1=\"{head}\" x2=\"{at}\" y2=\"{y}\" stroke=\"#357\"/>\
                 <circle cx=\"{at}\" cy=\"{y}\" r=\"5\" fill=\"#357\"/>"
            );
            let lines = [plug.interface.as_str(), plug.mac.as_str()].into_iter();
            let lines = lines.chain(plug.addresses.iter().map(String::as_str));
            for (line, label) in lines.take(MOST_LABELS).enumerate() {
                svg_text(svg, (at + 8, y + 18 + LINE * line), "normal", label);
            }
        }
    }
}

/// Pixels of the picture: its margins, a column's width, a row's height, a line of text.
const LEFT: usize = 100;
const TOP: usize = 40;
const COLUMN: usize = 230;
const ROW: usize = 130;
const LINE: usize = 15;
/// Lines of text below a host's place on a segment; those behind are in the other forms.
const MOST_LABELS: usize = 6;

fn svg_text(svg: &mut String, (x, y): (usize, usize), weight: &str, text: &str) {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _infallible = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-weight=\"{weight}\">{escaped}</text>"
    );
}

impl Node {
    fn of(host: &Host) -> Self {
        let mut notes = Vec::new();
        if host.director {
            notes.push("director".to_owned());
        }
        if host.router {
            notes.push("router".to_owned());
        }
        if let Some(serve) = &host.serve {
            notes.push(format!("web server {} on port {}", serve.name, serve.port));
        }
        if !host.decapsulate.is_empty() {
            let kinds: Vec<&str> = host.decapsulate.iter().map(|kind| kind.as_str()).collect();
            notes.push(format!("end of tunnels: {}", kinds.join(", ")));
        }
        notes.extend(host.loopback.iter().map(|address| format!("lo {address}")));
        notes.extend(host.gateways.iter().map(|via| format!("gateway {via}")));
        notes.extend(host.routes.iter().map(|route| format!("route {route}")));
        Self {
            name: host.name.clone(),
            notes,
            plugs: host.interfaces.iter().map(Plug::of).collect(),
        }
    }
}

impl Plug {
    fn of(interface: &Interface) -> Self {
        let addresses = interface.addresses.iter().map(ToString::to_string);
        let mtu = interface.mtu.map(|mtu| format!("MTU {mtu}"));
        Self {
            interface: interface.name.clone(),
            segment: interface.segment.clone(),
            mac: interface.mac.to_string(),
            addresses: addresses.chain(mtu).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library;

    #[test]
    fn every_host_is_named_once_to_each_segment_that_it_is_on() {
        let lab = library::find("dr-router", false).unwrap();
        let text = Diagram::of(&lab).text();
        let lines = |name: &str| {
            let branches = text.lines().filter(|line| line.starts_with("  "));
            branches.filter(|line| line.contains(name)).count()
        };
        assert_eq!([lines("client"), lines("router"), lines("rs1")], [1, 2, 1]);
        assert!(text.contains("rs1       web server RS1 on port 80; lo 172.16.10.21/32"));
    }

    #[test]
    fn a_picture_of_every_lab_is_balanced_and_escaped() {
        for lab in library::built_in().unwrap() {
            let svg = Diagram::of(&lab).svg();
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
            let circles: usize = lab.hosts.iter().map(|host| host.interfaces.len()).sum();
            assert_eq!(svg.matches("<circle").count(), circles, "{}", lab.name);
        }
    }
}
