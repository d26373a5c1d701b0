//! Whether two directors did the same.

use std::fmt;

use crate::case::Case;
use crate::facts::Facts;

/// Where they first did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The case, up to the step that shows it.
    pub case: Case,
    /// What only the kernel shows.
    pub kernel: Vec<String>,
    /// What only xvs shows.
    pub xvs: Vec<String>,
}

/// Compares what the kernel and xvs showed after each step of a case. None where it is the same.
pub fn compare(case: &Case, kernel: &[Facts], xvs: &[Facts]) -> Option<Difference> {
    let step = kernel
        .iter()
        .zip(xvs)
        .position(|(kernel, xvs)| !kernel.agree(xvs))?;
    Some(Difference {
        case: Case {
            name: case.name.clone(),
            steps: case.steps[..=step].to_vec(),
        },
        kernel: kernel[step].against(&xvs[step]),
        xvs: xvs[step].against(&kernel[step]),
    })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.case.fmt(f)?;
        for (name, lines) in [("kernel", &self.kernel), ("xvs", &self.xvs)] {
            for line in lines {
                writeln!(f, "  {name:>6}: {line}")?;
            }
        }
        Ok(())
    }
}
