//! What was measured: as a table for people, and as JSON.

use std::fmt;

use serde::Serialize;

/// Several runs of one case.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// How many runs.
    pub runs: usize,
    /// The middle one, in the group's unit.
    pub median: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
    /// The median beside the group's reference: less it, or divided by it.
    pub compared: f64,
}

/// Cases that are measured in the same way.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// What they are.
    pub title: String,
    /// What the numbers are.
    pub unit: &'static str,
    /// What [`Row::compared`] is.
    pub comparison: &'static str,
    /// The cases.
    pub rows: Vec<Row>,
}

/// All of it, with the machine.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Processor and kernel.
    pub machine: Machine,
    /// The measurements.
    pub groups: Vec<Group>,
}

/// What the numbers were measured on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Row {
    /// Sums up measured values, of which there is at least one.
    pub fn of(case: impl Into<String>, mut values: Vec<f64>, compare: impl Fn(f64) -> f64) -> Self {
        values.sort_by(f64::total_cmp);
        let median = values[values.len() / 2];
        Self {
            case: case.into(),
            runs: values.len(),
            median,
            minimum: values[0],
            maximum: values[values.len() - 1],
            compared: compare(median),
        }
    }
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let information = read("/proc/cpuinfo");
        let named = information
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let name = named.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
        Self {
            processor: name.to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            processors,
            kernel,
        } = &self.machine;
        writeln!(f, "{processor}, {processors} processors, Linux {kernel}")?;
        for Group {
            title,
            unit,
            comparison,
            rows,
        } in &self.groups
        {
            writeln!(f, "\n{title}, {unit}")?;
            writeln!(
                f,
                "  {:<48}{:>9}{:>9}{:>9}  {comparison}",
                "", "median", "min", "max"
            )?;
            for row in rows {
                let Row {
                    case,
                    median,
                    minimum,
                    maximum,
                    compared,
                    ..
                } = row;
                writeln!(
                    f,
                    "  {case:<48}{median:>9.2}{minimum:>9.2}{maximum:>9.2}  {compared:.2}"
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_whatever_the_order() {
        let row = Row::of("x", vec![9.0, 1.0, 5.0], |median| median - 1.0);
        assert_eq!((row.median, row.minimum, row.maximum), (5.0, 1.0, 9.0));
        assert_eq!(row.compared, 4.0);
    }
}
