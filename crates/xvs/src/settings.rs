//! `xvs set`.

use std::fmt::Write as _;
use std::process::ExitCode;

use adm::DirectorError;
use anyhow::{Result, anyhow};
use clap::Args;
use model::{SettingRequest, SettingStatus};

use crate::{output, place};

/// Which settings to change.
#[derive(Debug, Clone, Args)]
pub struct SetOptions {
    /// Settings by the names of the sysctls under net.ipv4.vs; all are made, or none. Without any, all
    /// are listed
    #[arg(value_name = "NAME=VALUE")]
    pub settings: Vec<SettingRequest>,
    /// Print JSON
    #[arg(long, conflicts_with = "settings")]
    pub json: bool,
}

/// Changes settings, or lists them.
pub fn main(options: &SetOptions) -> Result<ExitCode> {
    let mut client = place::client()?;
    if !options.settings.is_empty() {
        client.set(&options.settings).map_err(explained)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = client.settings().map_err(explained)?;
    output::json_or(options.json, &settings, || text(&settings))?;
    Ok(ExitCode::SUCCESS)
}

/// What went wrong with the daemon, and what to do about it.
pub fn explained(error: DirectorError) -> anyhow::Error {
    match error {
        DirectorError::Unavailable(error) if !error.hint.is_empty() => {
            anyhow!("{error}\nhint: {}", error.hint)
        }
        error => error.into(),
    }
}

/// The changes that make settings be as asked for, and all others be at their defaults.
pub fn only(asked: &[SettingRequest], now: &[SettingStatus]) -> Vec<SettingRequest> {
    let changed = now.iter().filter(|status| status.value != status.default);
    let defaults = changed.map(|status| SettingRequest {
        name: status.name.to_string(),
        value: status.default.clone(),
    });
    defaults.chain(asked.iter().cloned()).collect()
}

fn text(settings: &[SettingStatus]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, settings);
    out
}

fn write_text(out: &mut String, settings: &[SettingStatus]) -> std::fmt::Result {
    let (fixed, free): (Vec<_>, Vec<_>) = settings.iter().partition(|s| s.fixed.is_some());
    writeln!(
        out,
        "{:<26} {:<11} {:<11} Meaning",
        "Setting", "Value", "Default"
    )?;
    for SettingStatus {
        name,
        value,
        default,
        meaning,
        ..
    } in free
    {
        writeln!(out, "{name:<26} {value:<11} {default:<11} {meaning}")?;
    }
    writeln!(out, "\nThese take nothing but their defaults:")?;
    for status in fixed {
        let reason = status.fixed.as_deref().unwrap_or_default();
        writeln!(out, "{:<26} {:<11} {reason}", status.name, status.value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Setting, Settings};

    #[test]
    fn every_setting_is_listed_once_with_its_value() {
        let mut settings = Settings::default();
        settings.put(Setting::AmDroprate, 77);
        let text = text(&SettingStatus::all(&settings));
        for setting in Setting::ALL {
            let is_its = |line: &&str| line.split_whitespace().next() == Some(setting.as_str());
            assert_eq!(text.lines().filter(is_its).count(), 1, "{setting}");
        }
        let line = text.lines().find(|line| line.starts_with("am_droprate"));
        let words: Vec<&str> = line.unwrap().split_whitespace().take(3).collect();
        assert_eq!(words, ["am_droprate", "77", "10"]);
    }

    #[test]
    fn what_is_not_asked_for_goes_back_to_its_default() {
        let mut settings = Settings::default();
        settings.put(Setting::DropEntry, 3);
        settings.put(Setting::SloppyTcp, 1);
        let asked = [
            "drop_entry=1".parse().unwrap(),
            "pmtu_disc=0".parse().unwrap(),
        ];
        let after = settings
            .with(&only(&asked, &SettingStatus::all(&settings)))
            .unwrap();
        let changed: Vec<_> = after.changed().collect();
        assert_eq!(changed, [(Setting::DropEntry, 1), (Setting::PmtuDisc, 0)]);
    }
}
