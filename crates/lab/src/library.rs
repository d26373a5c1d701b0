//! The labs that come with the program, and those in files of the user's own.

use std::path::Path;

use crate::check::{TWIN_SUFFIX, list};
use crate::definition::Lab;
use crate::error::LabError;
use crate::file::{parse, parse_twin};

/// File name and text of each lab that comes with the program.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "labs/nat-wrr.toml",
        include_str!("../../../labs/nat-wrr.toml"),
    ),
    (
        "labs/nat-gateway.toml",
        include_str!("../../../labs/nat-gateway.toml"),
    ),
    (
        "labs/nat-two-nics.toml",
        include_str!("../../../labs/nat-two-nics.toml"),
    ),
    (
        "labs/dr-one-subnet.toml",
        include_str!("../../../labs/dr-one-subnet.toml"),
    ),
    (
        "labs/dr-router.toml",
        include_str!("../../../labs/dr-router.toml"),
    ),
    (
        "labs/dr-vip-elsewhere.toml",
        include_str!("../../../labs/dr-vip-elsewhere.toml"),
    ),
    (
        "labs/dr-gateway-director.toml",
        include_str!("../../../labs/dr-gateway-director.toml"),
    ),
    (
        "labs/failover.toml",
        include_str!("../../../labs/failover.toml"),
    ),
    ("labs/tun.toml", include_str!("../../../labs/tun.toml")),
    (
        "labs/fullnat.toml",
        include_str!("../../../labs/fullnat.toml"),
    ),
    (
        "labs/fullnat-families.toml",
        include_str!("../../../labs/fullnat-families.toml"),
    ),
    (
        "labs/methods.toml",
        include_str!("../../../labs/methods.toml"),
    ),
    (
        "labs/throughput.toml",
        include_str!("../../../labs/throughput.toml"),
    ),
    (
        "labs/port-forward.toml",
        include_str!("../../../labs/port-forward.toml"),
    ),
];

/// All labs that come with the program, each followed by its twin.
pub fn built_in() -> Result<Vec<Lab>, LabError> {
    let mut labs = Vec::new();
    for &(file, text) in BUILT_IN {
        labs.push(parse(file, text)?);
        labs.extend(parse_twin(file, text)?);
    }
    Ok(labs)
}

/// The lab of that name, or in that file (what has a slash or ends in `.toml` is a path); with
/// `twin`, the same with IPv6 addresses.
pub fn find(name: &str, twin: bool) -> Result<Lab, LabError> {
    if name.contains('/') || name.ends_with(".toml") {
        return in_file(name, twin);
    }
    let labs = built_in()?;
    let wanted = match twin && !name.ends_with(TWIN_SUFFIX) {
        true => format!("{name}{TWIN_SUFFIX}"),
        false => name.to_owned(),
    };
    let known: Vec<String> = labs.iter().map(|lab| lab.name.clone()).collect();
    if let Some(lab) = labs.into_iter().find(|lab| lab.name == wanted) {
        return Ok(lab);
    }
    let name = name.to_owned();
    Err(match known.contains(&name) {
        true => LabError::NoTwin { lab: name },
        false => LabError::UnknownLab {
            name,
            known: list(&known),
        },
    })
}

fn in_file(name: &str, twin: bool) -> Result<Lab, LabError> {
    let path = Path::new(name);
    let text = std::fs::read_to_string(path).map_err(|source| LabError::Read {
        path: path.to_owned(),
        source,
    })?;
    if !twin {
        return Ok(parse(name, &text)?);
    }
    parse_twin(name, &text)?.ok_or_else(|| LabError::NoTwin {
        lab: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lab_of_the_program_is_well_formed_and_named_as_its_file() {
        for &(file, text) in BUILT_IN {
            let lab = parse(file, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(file, format!("labs/{}.toml", lab.name));
            assert!(!lab.steps.is_empty());
        }
    }

    #[test]
    fn every_twin_is_well_formed_and_all_its_addresses_are_ipv6() {
        for &(file, text) in BUILT_IN {
            let twin = parse_twin(file, text).unwrap_or_else(|error| panic!("{error}"));
            let Some(twin) = twin else { continue };
            assert_eq!(
                file,
                format!("labs/{}.toml", &twin.name[..twin.name.len() - 3])
            );
            let interfaces = twin.hosts.iter().flat_map(|host| &host.interfaces);
            let mut addresses = interfaces.flat_map(|interface| &interface.addresses);
            assert!(addresses.all(|own| own.address.is_ipv6()), "{file}");
        }
    }

    #[test]
    fn every_lab_file_of_the_repository_is_in_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../labs");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.ends_with(".toml") {
                continue;
            }
            assert!(
                BUILT_IN
                    .iter()
                    .any(|(file, _)| *file == format!("labs/{name}")),
                "{name}"
            );
        }
    }
}
