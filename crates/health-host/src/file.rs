//! FILE_CHECK: the number in a file.

use crate::{Done, Failure};

pub(crate) async fn check(path: &str, weight: i32, dynamic: bool) -> Done {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Server(format!("{path}: {error}")))?;
    let word = text.split_whitespace().next().unwrap_or_default();
    let number: i64 = word
        .parse()
        .map_err(|_| Failure::Server(format!("{path}: `{word}' is no number")))?;
    if weight == 0 {
        return match number {
            0 => Ok(None),
            number => Err(Failure::Server(format!("{path}: {number} is not 0"))),
        };
    }
    let product = number.saturating_mul(weight.into());
    match i32::try_from(product) {
        Ok(product) if product > i32::MIN => Ok(dynamic.then_some(product)),
        _ => Err(Failure::Server(format!(
            "{path}: {product} is out of range"
        ))),
    }
}
