//! A chart of lines, as an SVG file.

use std::fmt::Write as _;

/// The drawing area, in pixels: left, top, width, height.
const AREA: (f64, f64, f64, f64) = (60.0, 40.0, 560.0, 340.0);
const COLOURS: [&str; 8] = [
    "#1b6ca8", "#c0392b", "#27ae60", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#2c3e50",
];

/// A line: its name, and its points from left to right.
pub struct Line {
    /// Stands beside it.
    pub name: String,
    /// Places by the chart's marks, and values.
    pub points: Vec<(f64, f64)>,
}

/// Lines, and what they are drawn by.
pub struct Chart {
    /// Stands above it: what the values are, and by what they go.
    pub title: String,
    /// Places along the lower edge with their names; the last one is the right end.
    pub marks: Vec<(f64, String)>,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Chart {
    /// The file's text.
    pub fn svg(&self) -> String {
        let mut text = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 430\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"860\" height=\"430\" fill=\"#fff\"/>\n",
        );
        let (left, ..) = AREA;
        // Here and below: writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<text x=\"{left}\" y=\"20\" font-size=\"14\">{}</text>",
            self.title
        );
        self.draw_axes(&mut text);
        for (number, line) in self.lines.iter().enumerate() {
            self.draw(number, line, &mut text);
        }
        text + "</svg>\n"
    }

    /// The value at the upper edge: the next round one.
    fn top(&self) -> f64 {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let most = points.map(|(_, value)| *value).fold(0.0, f64::max);
        let unit = 10_f64.powf(most.max(f64::MIN_POSITIVE).log10().floor());
        (most / unit).ceil() * unit
    }

    fn x(&self, place: f64) -> f64 {
        let (left, _, width, _) = AREA;
        let end = self.marks.last().map_or(1.0, |(place, _)| *place);
        left + place / end * width
    }

    fn y(&self, value: f64) -> f64 {
        let (_, up, _, height) = AREA;
        up + height - value / self.top() * height
    }

    fn draw_axes(&self, text: &mut String) {
        let (left, up, width, height) = AREA;
        for step in 0..=4 {
            let value = self.top() * f64::from(step) / 4.0;
            let (at, end) = (self.y(value), left + width);
            let (beside, below) = (left - 6.0, at + 4.0);
            let _ = writeln!(
                text,
                "<path d=\"M{left} {at}H{end}\" stroke=\"#ddd\"/>\
                 <text x=\"{beside}\" y=\"{below}\" text-anchor=\"end\">{value}</text>"
            );
        }
        for (place, name) in &self.marks {
            let (at, below) = (self.x(*place), up + height + 18.0);
            let _ = writeln!(
                text,
                "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{name}</text>"
            );
        }
    }

    fn draw(&self, number: usize, line: &Line, text: &mut String) {
        let (left, up, width, _) = AREA;
        let colour = COLOURS[number % COLOURS.len()];
        let points = line.points.iter();
        let points: Vec<String> = points
            .map(|(place, value)| format!("{:.1},{:.1}", self.x(*place), self.y(*value)))
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
}
