//! Reads transcripts.

/// One command and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub command: String,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
    pub code: Option<u8>,
}

/// The steps of a transcript, without those that only prepare.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut current: Option<Step> = None;
    for line in text.lines() {
        let (mark, rest) = line.split_at(line.len().min(2));
        match (mark, &mut current) {
            ("$ ", current) => {
                let step = Step {
                    command: rest.to_owned(),
                    stdout: Vec::new(),
                    stderr: Vec::new(),
                    code: None,
                };
                steps.extend(current.replace(step));
            }
            ("| ", Some(step)) => step.stdout.push(rest.to_owned()),
            ("! ", Some(step)) => step.stderr.push(rest.to_owned()),
            ("= ", Some(step)) => step.code = rest.parse().ok(),
            ("% ", _) => {}
            _ => panic!("a line of a transcript without its mark: {line:?}"),
        }
    }
    steps.extend(current);
    steps
}
