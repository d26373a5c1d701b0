//! What a packet costs where very much is configured, beside what it costs with one service.

use crate::case::Case;
use crate::director::Bench;
use crate::error::Error;
use crate::farm::{SERVERS, SERVICES};
use crate::method::Method;
use crate::object::Object;
use crate::packets::{beside, surroundings};
use crate::report::{Group, Row};
use crate::selection::Selection;

/// As much as with one service: the ratio that is wanted.
const AS_WITH_ONE: f64 = 1.0;

/// Measures the cases that are wanted, with all services and with one.
///
/// # Errors
/// When the kernel refuses, for want of memory perhaps, or packets went another way than the one that
/// is measured.
pub fn measure(runs: usize, selection: &Selection) -> Result<Option<Group>, Error> {
    let mut cases = Case::large();
    cases.retain(|case| selection.wants("XDP", &case.to_string()));
    if cases.is_empty() {
        return Ok(None);
    }
    let mut object = Object::load()?;
    let mut one = Bench::new(surroundings(), Method::NAT)?;
    let mut many = Bench::of_farm(surroundings())?;
    let mut rows = Vec::new();
    for case in cases {
        let sides = [(&mut one, case.with_one_service()), (&mut many, case)];
        let [reference, values] = beside(runs, &mut object, sides)?;
        let row = Row::beside(case.to_string(), values, &reference);
        rows.push(row.with_goal(AS_WITH_ONE));
    }
    let title = format!(
        "One packet through the XDP program, {SERVICES} services of {SERVERS} real servers each"
    );
    let unit = "ns less the front program";
    Ok(Some(Group::new(title, unit, "beside one service", rows)))
}
