//! The stages of a packet's way: programs that its entry points jump to.

use abi::{Needs, Stage};
use aya::Ebpf;
use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::ProgramError;

use crate::error::Error;
use crate::object::{self, Variant};
use crate::pins::Pins;
use crate::programs::{EGRESS, INGRESS, Part, XDP};

/// The stages behind an entry point: the map that holds their programs, what the programs' names
/// begin with, and which stages there are.
struct Stages {
    map: &'static str,
    prefix: &'static str,
    has: fn(Stage) -> bool,
    /// The entry points, which programs that trace go on with, by the stages that they are.
    entries: &'static [(Stage, &'static str)],
    /// The map of the program that reports, and the program.
    report: (&'static str, &'static str),
}

const STAGES: [Stages; 2] = [
    Stages {
        map: "TC_STAGES",
        prefix: "xvs_tc_",
        has: |stage| !matches!(stage, Stage::Enter | Stage::Depart),
        entries: &[(Stage::Enter, INGRESS), (Stage::Depart, EGRESS)],
        report: ("TC_REPORT", "xvs_trace_tc_report"),
    },
    Stages {
        map: "XDP_STAGES",
        prefix: "xvs_xdp_",
        has: |stage| {
            use Stage::{
                EnterV6, Fullnat, FullnatV6, Lend, LendOther, LendOtherV6, LendV6, Make, MakeV6,
                Onward, OnwardV6, Open, OpenV6, Persist, PersistV6, Return, ReturnV6, Sacks,
                SacksV6, Schedule, Tunnel, TunnelV6,
            };
            matches!(
                stage,
                EnterV6
                    | Open
                    | OpenV6
                    | Persist
                    | PersistV6
                    | Schedule
                    | Make
                    | MakeV6
                    | Onward
                    | OnwardV6
                    | Tunnel
                    | TunnelV6
                    | Fullnat
                    | Lend
                    | LendV6
                    | LendOther
                    | LendOtherV6
                    | FullnatV6
                    | Return
                    | ReturnV6
                    | Sacks
                    | SacksV6
            )
        },
        entries: &[(Stage::Enter, XDP)],
        report: ("XDP_REPORT", "xvs_trace_xdp_report"),
    },
];

/// What makes a program needed: a stage has needs, any other program none.
pub fn needs(program: &str) -> Needs {
    let named = |prefix| {
        let name = program.strip_prefix(prefix)?;
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    };
    let stage = STAGES.iter().find_map(|stages| named(stages.prefix));
    stage.map_or(Needs::default(), Stage::needs)
}

/// Puts the programs of a part's stages where their entry points find them. The maps keep them.
pub fn place(ebpf: &Ebpf, pins: &Pins, variant: Variant, part: Part) -> Result<(), Error> {
    for stages in &STAGES {
        let there = Stage::ALL.into_iter().filter(|stage| (stages.has)(*stage));
        let mut programs: Vec<(u32, String)> = there
            .filter(|stage| part.has(stage.needs()))
            .map(|stage| (stage as u32, format!("{}{}", stages.prefix, stage.name())))
            .collect();
        if variant == Variant::Tracing && part.has(Needs::default()) {
            let entries = stages.entries.iter();
            programs.extend(entries.map(|(stage, name)| (*stage as u32, (*name).to_owned())));
            let (map, program) = stages.report;
            fill(ebpf, pins, (map, variant), &[(0, program.to_owned())])?;
        }
        fill(ebpf, pins, (stages.map, variant), &programs)?;
    }
    Ok(())
}

/// The arrays of stages: the kernel empties one that no process and no pin refers to.
pub fn arrays(pins: &Pins) -> Result<Vec<MapData>, Error> {
    let arrays = STAGES.iter().map(|stages| object::map(pins, stages.map));
    arrays.collect()
}

/// Puts programs into an array, by their indices.
fn fill(
    ebpf: &Ebpf,
    pins: &Pins,
    (name, variant): (&'static str, Variant),
    programs: &[(u32, String)],
) -> Result<(), Error> {
    let unusable = |cause| Error::Map { name, cause };
    let map = MapData::from_pin(pins.path(variant.map_pin(name))).map_err(unusable)?;
    let mut array = ProgramArray::try_from(Map::ProgramArray(map)).map_err(unusable)?;
    for (index, name) in programs {
        let failed = |cause| Error::program(name.clone(), cause);
        let program = ebpf.program(name).ok_or(ProgramError::NotLoaded);
        let file = program.and_then(|program| program.fd()).map_err(failed)?;
        array.set(*index, file, 0).map_err(unusable)?;
    }
    Ok(())
}
