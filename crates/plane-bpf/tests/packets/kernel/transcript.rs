//! Transcripts of what the kernel's director did: see `golden/kernel/probe.py`.

/// The link of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

/// A frame that the director was given, and what came out of it.
#[derive(Debug, Clone)]
pub struct Given {
    pub what: String,
    pub end: End,
    pub frame: Vec<u8>,
    pub out: Vec<(End, Vec<u8>)>,
}

/// A line of a transcript, or several that belong together.
#[derive(Debug, Clone)]
pub enum Step {
    /// What is tried from here on.
    Scenario(String),
    /// A command on the director.
    Command(String),
    Given(Given),
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

fn frame(text: &str) -> (End, Vec<u8>) {
    let (end, frame) = text.split_once(' ').unwrap();
    let end = match end {
        "client" => End::Client,
        "server" => End::Server,
        other => panic!("no link is called {other}"),
    };
    (end, bytes(frame))
}

/// Reads a transcript.
pub fn read(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut what = String::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(2);
        match mark {
            "# " => steps.push(Step::Scenario(rest.into())),
            "$ " => steps.push(Step::Command(rest.into())),
            "= " => what = rest.into(),
            "> " => {
                let (end, frame) = frame(rest);
                let (what, out) = (std::mem::take(&mut what), Vec::new());
                steps.push(Step::Given(Given {
                    what,
                    end,
                    frame,
                    out,
                }));
            }
            "< " => match steps.last_mut() {
                Some(Step::Given(given)) => given.out.push(frame(rest)),
                other => panic!("nothing was given before this came out: {other:?}"),
            },
            _ => panic!("a transcript has no such line: {line}"),
        }
    }
    steps
}
