//! What the kernel's verifier says of a program that it does not accept: a trace of every
//! instruction that it followed, and at its end the reason.

use std::fmt::Write as _;

use aya::programs::ProgramError;

/// How lines begin that follow the reason: what the verification cost.
const STATISTICS: [&str; 3] = ["processed ", "verification time ", "stack depth "];

/// An error in a line: of the verifier's words only the reason, and everything else that it comes
/// from.
pub fn reason(error: &ProgramError) -> String {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return chain(error);
    };
    let mut text = io_error.to_string();
    if let Some(line) = last_words(&verifier_log.to_string()) {
        let _infallible = write!(text, ": {line}");
    }
    text
}

/// An error with everything that it comes from: a hint may stand behind it, and not everybody who
/// prints it asks for the rest.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The last line of the verifier's that is no statistics.
fn last_words(log: &str) -> Option<&str> {
    let lines = log.lines().rev().map(str::trim);
    let mut words = lines.filter(|line| {
        let is_cost = STATISTICS.iter().any(|start| line.starts_with(start));
        !line.is_empty() && !is_cost
    });
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a log, by the formats of kernel/bpf/verifier.c in Linux 6.1.
    const TOO_LARGE: &str = "\
        58: (0f) r1 += r2                     ; R1_w=map_value(off=0,ks=4,vs=64,imm=0)\n\
        BPF program is too large. Processed 1000001 insn\n\
        verification time 4171203 usec\n\
        stack depth 448+96\n\
        processed 1000001 insns (limit 1000000) max_states_per_insn 40 total_states 38112\n\n";

    #[test]
    fn the_reason_is_what_stands_before_the_statistics() {
        let expected = "BPF program is too large. Processed 1000001 insn";
        assert_eq!(last_words(TOO_LARGE), Some(expected));
        assert_eq!(last_words(""), None);
        assert_eq!(last_words("processed 0 insns (limit 1000000)\n"), None);
    }
}
