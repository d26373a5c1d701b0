//! Smaller cases that may show the same difference.

use crate::case::Case;

/// The case without some of its steps: without large parts first, then without each step by itself. The last step,
/// which shows the difference, stays.
pub fn candidates(case: &Case) -> Vec<Case> {
    let count = case.steps.len().saturating_sub(1);
    let mut sizes = Vec::new();
    let mut size = count / 2;
    while size > 1 {
        sizes.push(size);
        size /= 2;
    }
    sizes.push(1);
    let parts = sizes
        .into_iter()
        .flat_map(|size| (0..count).step_by(size).map(move |first| (first, size)));
    parts
        .enumerate()
        .map(|(number, (first, size))| {
            let is_left_out =
                |index: usize| (first..first + size).contains(&index) && index < count;
            let steps = case.steps.iter().enumerate();
            Case {
                name: format!("{}.{number}", case.name),
                steps: steps
                    .filter(|(index, _)| !is_left_out(*index))
                    .map(|(_, step)| step.clone())
                    .collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Step;

    #[test]
    fn every_step_but_the_last_is_left_out_once() {
        let case = Case {
            name: "a".to_owned(),
            steps: (1..=5).map(Step::Wait).collect(),
        };
        let all = candidates(&case);
        assert!(
            all.iter()
                .all(|one| one.steps.last() == Some(&Step::Wait(5)))
        );
        for seconds in 1..5 {
            let without: Vec<Step> = (1..=5).filter(|n| *n != seconds).map(Step::Wait).collect();
            assert!(all.iter().any(|one| one.steps == without), "{seconds}");
        }
        assert!(all.iter().any(|one| one.steps.len() == 3));
    }
}
