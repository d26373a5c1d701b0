//! What was measured: as a table for people, and as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Several runs of one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// What [`Self::compared`] should reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// The median of an earlier report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
}

/// Cases that are measured in the same way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// What they are.
    pub title: String,
    /// What the numbers are.
    pub unit: String,
    /// What [`Row::compared`] is.
    pub comparison: String,
    /// The cases.
    pub rows: Vec<Row>,
}

/// All of it, with the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Processor and kernel.
    pub machine: Machine,
    /// The measurements.
    pub groups: Vec<Group>,
}

/// What the numbers were measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
}

/// The middle one of measured values, of which there is at least one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

impl Row {
    /// Sums up measured values, of which there is at least one.
    pub fn of(case: impl Into<String>, mut values: Vec<f64>, compare: impl Fn(f64) -> f64) -> Self {
        let median = median(&values);
        values.sort_by(f64::total_cmp);
        Self {
            case: case.into(),
            runs: values.len(),
            median,
            minimum: values[0],
            maximum: values[values.len() - 1],
            compared: compare(median),
            goal: None,
            before: None,
        }
    }

    /// With what it should reach.
    pub fn with_goal(self, goal: impl Into<Option<f64>>) -> Self {
        let goal = goal.into();
        Self { goal, ..self }
    }

    /// Beside the values of the same runs of something else: the median of the runs' ratios.
    pub fn beside(case: impl Into<String>, values: Vec<f64>, reference: &[f64]) -> Self {
        let ratios: Vec<f64> = values
            .iter()
            .zip(reference)
            .map(|(value, other)| value / other)
            .collect();
        let ratio = median(&ratios);
        Self::of(case, values, |_| ratio)
    }
}

impl Group {
    /// A group of rows.
    pub fn new(title: impl Into<String>, unit: &str, comparison: &str, rows: Vec<Row>) -> Self {
        Self {
            title: title.into(),
            unit: unit.to_owned(),
            comparison: comparison.to_owned(),
            rows,
        }
    }
}

impl Report {
    /// Puts the medians of an earlier report beside those of the same cases.
    pub fn compare(&mut self, earlier: &Self) {
        for group in &mut self.groups {
            let same = earlier.groups.iter().find(|old| old.title == group.title);
            for row in &mut group.rows {
                let old = same.and_then(|old| old.rows.iter().find(|old| old.case == row.case));
                row.before = old.map(|old| old.median);
            }
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
        self.groups
            .iter()
            .try_for_each(|group| write!(f, "{group}"))
    }
}

/// How wide the column of the cases' names is at least.
const NAMES: usize = 54;

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_goals = self.rows.iter().any(|row| row.goal.is_some());
        let has_earlier = self.rows.iter().any(|row| row.before.is_some());
        let longest = self.rows.iter().map(|row| row.case.chars().count()).max();
        let width = longest.unwrap_or_default().max(NAMES);
        let comparison = &self.comparison;
        writeln!(f, "\n{}, {} ({comparison})", self.title, self.unit)?;
        write!(
            f,
            "  {:<width$}{:>9}{:>9}{:>9}{:>9}",
            "", "median", "min", "max", "compared"
        )?;
        if has_goals {
            write!(f, "{:>8}", "goal")?;
        }
        if has_earlier {
            write!(f, "{:>9}{:>8}", "before", "change")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let Row {
                case,
                median,
                minimum,
                maximum,
                compared,
                ..
            } = row;
            write!(
                f,
                "  {case:<width$}{median:>9.2}{minimum:>9.2}{maximum:>9.2}{compared:>9.2}"
            )?;
            match row.goal {
                Some(goal) => write!(f, "{goal:>8.2}")?,
                None if has_goals => write!(f, "{:>8}", "")?,
                None => {}
            }
            if let Some(before) = row.before {
                let change = (median / before - 1.0) * 100.0;
                write!(f, "{before:>9.2}{change:>+7.1}%")?;
            }
            writeln!(f)?;
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

    #[test]
    fn an_earlier_report_is_put_beside_the_same_cases_of_the_same_groups() {
        let report = |title: &str, median| Report {
            machine: Machine::this(),
            groups: vec![Group::new(
                title,
                "ns",
                "",
                vec![Row::of("a", vec![median], |median| median)],
            )],
        };
        let mut now = report("XDP", 30.0);
        now.compare(&report("TC", 60.0));
        assert_eq!(now.groups[0].rows[0].before, None);
        now.compare(&report("XDP", 40.0));
        assert_eq!(now.groups[0].rows[0].before, Some(40.0));
        assert!(now.to_string().contains("40.00  -25.0%"), "{now}");
    }
}
