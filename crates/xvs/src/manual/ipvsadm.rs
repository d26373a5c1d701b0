//! ipvsadm's page and completion, made of its options' table.

use adm::{Argument, OPTIONS, OptionSpec, Topic};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::manual::Page;

const ABOUT: &str = "Linux Virtual Server administration";

/// What the page says of ipvsadm before its options.
const DESCRIPTION: [&str; 3] = [
    "ipvsadm sets up and lists the virtual services of the director that runs in this network namespace, \
     xvs-serve(1). Its command lines, what it prints and its exit codes are those of ipvsadm 1.31, which does the same \
     for the IPVS of the Linux kernel.",
    "The first option says what to do. Options are written out: a long one may carry its argument after an equals \
     sign, a short one right behind it. Hosts and ports may be names.",
    "ipvsadm-save prints what ipvsadm -S does; with -n, addresses and ports as numbers. ipvsadm-restore removes all \
     virtual services and carries out what it reads, as ipvsadm -R does, lines that begin with # left out.",
];

const STATUS: [(&str, &str); 4] = [
    ("0", "What was asked for was done."),
    ("1", "There is no such virtual service to list."),
    (
        "2",
        "The command line makes no sense, or no director runs here.",
    ),
    (
        "255",
        "The director refused the change; or the command line cannot be read.",
    ),
];

/// The options, as clap has them.
pub fn definition() -> Command {
    let begin = Command::new("ipvsadm")
        .about(ABOUT)
        .disable_help_flag(true)
        .disable_version_flag(true);
    OPTIONS.iter().fold(begin, |command, option| {
        // A second letter for one that is there.
        let is_there = command
            .get_arguments()
            .any(|arg| arg.get_id() == option.long);
        match (is_there, option.short) {
            (true, Some(letter)) => {
                command.mut_arg(option.long, |arg| arg.visible_short_alias(letter))
            }
            _ => command.arg(argument(option)),
        }
    })
}

fn argument(option: &OptionSpec) -> Arg {
    let arg = Arg::new(option.long)
        .long(option.long)
        .short(option.short)
        .help(option.about)
        .help_heading(heading(option.topic()));
    let value = match option.argument {
        Argument::No => return arg.action(ArgAction::SetTrue),
        Argument::Required(value) => arg.value_name(value),
        Argument::Optional(value) => arg.value_name(value).num_args(0..=1),
    };
    match option.choices() {
        choices if choices.is_empty() => value,
        choices => value.value_parser(PossibleValuesParser::new(choices)),
    }
}

const fn heading(topic: Topic) -> &'static str {
    match topic {
        Topic::Commands => "Commands",
        Topic::Services => "Virtual services",
        Topic::Servers => "Real servers",
        Topic::Lists => "Lists",
        Topic::SyncDaemons => "Sync daemons",
    }
}

/// The pages of ipvsadm and its companions.
///
/// # Errors
/// When one cannot be put together.
pub fn pages() -> Result<[Page; 3]> {
    let page = |name: &str, text| Page {
        name: name.to_owned(),
        section: 8,
        text,
    };
    let elsewhere = b".so man8/ipvsadm.8\n".to_vec();
    Ok([
        page("ipvsadm", text()?),
        page("ipvsadm-save", elsewhere.clone()),
        page("ipvsadm-restore", elsewhere),
    ])
}

fn text() -> Result<Vec<u8>> {
    let man = Man::new(definition())
        .section("8")
        .source(format!("xvs {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let mut before = Roff::new();
    before.control("SH", ["SYNOPSIS"]);
    for line in adm::usage() {
        before.text([bold("ipvsadm"), roman(format!(" {line}"))]);
        before.control("br", []);
    }
    before.control("SH", ["DESCRIPTION"]);
    for paragraph in DESCRIPTION {
        before.control("PP", []);
        before.text([roman(paragraph)]);
    }
    before.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut after = Roff::new();
    after.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in STATUS {
        after.control("TP", []);
        after.text([bold(code)]);
        after.text([roman(meaning)]);
    }
    after.control("SH", ["ENVIRONMENT"]);
    after.control("TP", []);
    after.text([bold("XVS_STATE_DIR")]);
    after.text([roman(
        "Where the director keeps its socket, instead of /run/xvs.",
    )]);
    after.control("SH", ["EXAMPLE"]);
    after.control("EX", []);
    for line in [
        "ipvsadm -A -t 192.0.2.1:80 -s wrr",
        "ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.1 -m -w 2",
        "ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.2 -m -w 3",
        "ipvsadm -Ln",
    ] {
        after.text([roman(line)]);
    }
    after.control("EE", []);
    after.control("SH", ["SEE ALSO"]);
    after.text([roman("xvs(1), xvs-serve(1), xvs-list(1), xvs.conf(5)")]);
    after.to_writer(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;
    use crate::manual::{Program, completion_text};

    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        definition().debug_assert();
    }

    #[test]
    fn every_shell_completes_every_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = completion_text(Program::Ipvsadm, shell);
            let text = String::from_utf8(text).unwrap();
            for option in OPTIONS {
                let long = match shell {
                    Shell::Fish => format!("-l {} ", option.long),
                    _ => format!("--{}", option.long),
                };
                assert!(text.contains(&long), "{shell}: {long}");
            }
            assert!(text.contains("wlc") && text.contains("backup"), "{shell}");
        }
    }

    #[test]
    fn the_page_has_every_option() {
        let text = String::from_utf8(text().unwrap())
            .unwrap()
            .replace("\\-", "-");
        for option in OPTIONS {
            let long = format!("--{}", option.long);
            assert!(text.contains(&long), "{long}");
        }
    }
}
