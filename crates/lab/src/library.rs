//! The labs that come with the program, and those in files of the user's own.

use std::path::Path;

use crate::check::list;
use crate::definition::Lab;
use crate::error::LabError;
use crate::file::parse;

/// File name and text of each lab that comes with the program.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "labs/nat-wrr.toml",
        include_str!("../../../labs/nat-wrr.toml"),
    ),
    (
        "labs/nat-two-nics.toml",
        include_str!("../../../labs/nat-two-nics.toml"),
    ),
];

/// All labs that come with the program.
pub fn built_in() -> Result<Vec<Lab>, LabError> {
    BUILT_IN
        .iter()
        .map(|(file, text)| Ok(parse(file, text)?))
        .collect()
}

/// The lab of that name, or in that file: what has a slash or ends in `.toml` is a path.
pub fn find(name: &str) -> Result<Lab, LabError> {
    if name.contains('/') || name.ends_with(".toml") {
        let path = Path::new(name);
        let text = std::fs::read_to_string(path).map_err(|source| LabError::Read {
            path: path.to_owned(),
            source,
        })?;
        return Ok(parse(name, &text)?);
    }
    let labs = built_in()?;
    let known: Vec<String> = labs.iter().map(|lab| lab.name.clone()).collect();
    labs.into_iter()
        .find(|lab| lab.name == name)
        .ok_or_else(|| LabError::UnknownLab {
            name: name.to_owned(),
            known: list(&known),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lab_of_the_program_is_well_formed_and_named_as_its_file() {
        for (file, text) in BUILT_IN {
            let lab = parse(file, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(file, format!("labs/{}.toml", lab.name));
            assert!(!lab.steps.is_empty());
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
