//! Enough of a shell for the transcripts: quotes, `;`, `|`, `<` and `>`.
//!
//! `ipvsadm` and its companions are run in this process, and files of the kernel's about IPVS are
//! printed here; everything else is run by bash. The files of the
//! transcripts, in `/tmp`, are kept in a directory of their own.

use std::io::Write;
use std::process::{Command, Stdio};

use adm::proc::ProcFile;
use adm::{Director, Program, Resolver, Streams, run};

/// What a command printed, and its exit code.
#[derive(Debug, Default)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: u8,
}

pub struct Shell<'a> {
    pub director: &'a mut dyn Director,
    pub names: &'a dyn Resolver,
    pub directory: tempfile::TempDir,
}

impl Shell<'_> {
    /// Runs a command line. Its exit code is that of the last command in it.
    pub fn run(&mut self, line: &str) -> Outcome {
        let temporary = format!("{}/", self.directory.path().display());
        let line = line.replace("/tmp/", &temporary);
        let mut total = Outcome::default();
        for pipeline in split(&line, ';') {
            let mut input = Vec::new();
            for command in split(&pipeline, '|') {
                let outcome = self.run_command(command.trim(), &input);
                input = outcome.stdout;
                total.stderr.extend(outcome.stderr);
                total.code = outcome.code;
            }
            total.stdout.extend(input);
        }
        total
    }

    fn run_command(&mut self, command: &str, input: &[u8]) -> Outcome {
        let words = words(command);
        if let Some(file) = proc_file(&words) {
            let mut outcome = Outcome::default();
            adm::proc::print(&mut outcome.stdout, file, self.director).expect("it can be written");
            return outcome;
        }
        match words.first().and_then(|name| Program::from_path(name)) {
            Some(program) => self.run_here(program, words, input),
            None => run_bash(command, input),
        }
    }

    fn run_here(&mut self, program: Program, words: Vec<String>, input: &[u8]) -> Outcome {
        let (args, redirections) = redirections(words);
        let mut input = input.to_vec();
        let mut outcome = Outcome::default();
        for (direction, path) in &redirections {
            if *direction == '<' {
                input = std::fs::read(path).expect("the transcript wrote what it reads");
            }
        }
        let streams = Streams {
            input: &mut input.as_slice(),
            output: &mut outcome.stdout,
            errors: &mut outcome.stderr,
        };
        outcome.code = run(program, &args, streams, self.director, self.names);
        for (direction, path) in &redirections {
            if *direction == '>' {
                let output = std::mem::take(&mut outcome.stdout);
                std::fs::write(path, output).expect("the directory is writable");
            }
        }
        outcome
    }
}

/// The file of the kernel's that a command prints.
fn proc_file(words: &[String]) -> Option<ProcFile> {
    let [cat, path] = words else { return None };
    let name = path.strip_prefix("/proc/net/")?;
    let mut files = ProcFile::ALL.into_iter();
    files.find(|file| cat == "cat" && file.name() == name)
}

fn run_bash(command: &str, input: &[u8]) -> Outcome {
    let mut child = Command::new("bash")
        .args(["-c", command])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash is installed");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // A command that does not read its input closes it.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    let code = output
        .status
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Outcome {
        stdout: output.stdout,
        stderr: output.stderr,
        code: code.unwrap_or(u8::MAX),
    }
}

/// Splits a line at a character that stands outside quotes.
fn split(line: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, _) if c == separator => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is always one").push(c);
    }
    parts
}

/// Splits a command into words, and takes the quotes away. `<` and `>` are words.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == c => quote = None,
            (None, ' ') => words.extend(word.take()),
            (None, '<' | '>') => {
                words.extend(word.take());
                words.push(c.to_string());
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Takes redirections out of the words.
fn redirections(words: Vec<String>) -> (Vec<String>, Vec<(char, String)>) {
    let mut args = Vec::new();
    let mut found = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "<" => found.extend(words.next().map(|path| ('<', path))),
            ">" => found.extend(words.next().map(|path| ('>', path))),
            _ => args.push(word),
        }
    }
    (args, found)
}
