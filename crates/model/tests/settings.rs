//! Names, ranges and defaults of settings, as the kernel has them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use model::{Setting, SettingError, SettingRequest, SettingStatus, Settings, Takes};

/// `setting,default,written,answer`.
const KERNEL: &str = include_str!("golden/settings.csv");
const REFUSED: &str = "Invalid argument";

fn rows() -> impl Iterator<Item = [&'static str; 4]> {
    KERNEL.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        fields.try_into().unwrap()
    })
}

fn written(name: &str, value: &str) -> Result<Settings, SettingError> {
    let request = SettingRequest {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    Settings::default().with(&[request])
}

#[test]
fn every_setting_of_the_kernel_is_known_with_its_default() {
    let settings = Settings::default();
    for [name, default, ..] in rows() {
        let setting: Setting = name.parse().unwrap();
        let shown = settings.text(setting);
        // The kernel takes it from the machine's memory.
        if setting != Setting::SyncQlenMax {
            assert_eq!(shown, default, "{name}");
        }
    }
}

/// The kernel takes several numbers for one, and other notations; negative spans too.
#[test]
fn what_the_kernel_takes_is_taken_and_what_it_refuses_is_refused() {
    let mut compared = 0;
    for [name, _, value, answer] in rows() {
        let setting: Setting = name.parse().unwrap();
        let is_special = value.contains([' ', 'x']) && answer != REFUSED;
        let is_span = setting == Setting::LblcrExpiration;
        if matches!(setting.about().takes, Takes::Fixed { .. }) || is_special || is_span {
            continue;
        }
        let written = written(name, value);
        compared += 1;
        match answer {
            REFUSED => {
                let error = written.unwrap_err().to_string();
                assert!(error.contains(REFUSED), "{name}={value}: {error}");
            }
            // Shown as 1 while memory is not short; the director does that.
            "1" if value == "2" => assert_eq!(written.unwrap().get(setting), 2),
            answer => assert_eq!(written.unwrap().text(setting), answer, "{name}={value}"),
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn a_setting_that_does_nothing_here_keeps_its_default_and_says_why() {
    for status in SettingStatus::all(&Settings::default()) {
        let name = status.name.as_str();
        let Takes::Fixed { reason, remedy, .. } = status.name.about().takes else {
            assert_eq!(status.fixed, None);
            continue;
        };
        assert_eq!(status.fixed.as_deref(), Some(reason));
        assert!(written(name, &status.default).is_ok(), "{name}");
        let error = written(name, "77").unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.ends_with(&format!("hint: {remedy}")),
            "{error}"
        );
    }
}

#[test]
fn a_setting_is_asked_for_as_sysctl_writes_it() {
    for text in [
        "sloppy_tcp=1",
        "net.ipv4.vs.sloppy_tcp = 1",
        " sloppy_tcp =1 ",
    ] {
        let request: SettingRequest = text.parse().unwrap();
        let settings = Settings::default().with(&[request]).unwrap();
        assert!(settings.is_on(Setting::SloppyTcp), "{text}");
    }
    let error = "sloppy_tcp".parse::<SettingRequest>().unwrap_err();
    assert!(error.to_string().contains("NAME=VALUE"), "{error}");
    let error = written("slopy_tcp", "1").unwrap_err();
    assert!(
        error.to_string().contains("`xvs set' lists them"),
        "{error}"
    );
}

#[test]
fn settings_come_back_from_json() {
    let mut settings = Settings::default();
    settings.put(Setting::DropEntry, 3);
    settings.put(Setting::AmDroprate, -1);
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(text, r#"{"am_droprate":-1,"drop_entry":3}"#);
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
}
