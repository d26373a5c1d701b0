//! Reading the recorded picks.

/// The lines of a table behind its title, as fields.
pub fn lines<const N: usize>(csv: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    csv.lines().skip(1).map(|line| {
        line.split(',')
            .collect::<Vec<_>>()
            .try_into()
            .expect("as many fields as the title")
    })
}

/// `rs1` is 1.
pub fn server(name: &str) -> u32 {
    name.strip_prefix("rs").unwrap().parse().unwrap()
}

/// The servers that took connections, `None` where the client was refused.
pub fn servers(names: &str) -> impl Iterator<Item = Option<u32>> {
    names
        .split(' ')
        .map(|name| (name != "-").then(|| server(name)))
}
