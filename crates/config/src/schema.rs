//! Every keyword that keepalived knows, by the block that it stands in.
//!
//! After keepalived.conf(5) of keepalived 2.2 and its parser. A keyword that has no effect here says
//! why, and what to do instead.

mod bfd;
mod checkers;
mod global;
mod reasons;
mod servers;
mod vrrp;

pub use reasons::Reason;
pub(crate) use vrrp::SYNC_GROUP;

/// A block: what may stand between its braces.
#[derive(Debug)]
pub struct Block {
    /// The keyword that begins it; empty for the file itself.
    pub name: &'static str,
    /// The keywords in it.
    pub keywords: &'static [Keyword],
    /// Whether a word that is no keyword may stand in it by itself, as a name.
    pub takes_names: bool,
}

/// A keyword.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    /// Its name.
    pub name: &'static str,
    /// Older names of the same, or ones of other versions.
    pub aliases: &'static [&'static str],
    /// What follows it.
    pub shape: Shape,
    /// Why it has no effect, if it has none.
    pub without_effect: Option<Reason>,
}

/// What follows a keyword.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Nothing.
    Flag,
    /// `on`, `off`, `true`, `false`, `yes`, `no`, or nothing for `on`.
    Switch,
    /// A whole number in a range.
    Integer(i64, i64),
    /// A whole number in a range, or nothing.
    OptionalInteger(i64, i64),
    /// Seconds with decimals, in a range.
    Seconds(f64, f64),
    /// Milliseconds with decimals, in a range.
    Milliseconds(f64, f64),
    /// An IP address.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One word.
    Word,
    /// This many words at least, and at most.
    Words(usize, usize),
    /// A command, then perhaps the user and group that it runs as.
    Command,
    /// A block of keywords, with so many words before its brace.
    Block(&'static Block, usize, usize),
    /// A block of lines that are no keywords, with so many words before its brace.
    Lines(usize, usize),
}

impl Block {
    /// The keyword of this name, or alias.
    pub fn keyword(&self, name: &str) -> Option<&'static Keyword> {
        self.keywords
            .iter()
            .find(|keyword| keyword.name == name || keyword.aliases.contains(&name))
    }

    /// The name of every block, this one or within it, that knows a keyword.
    pub fn homes(&self, keyword: &str) -> Vec<&'static str> {
        let mut homes = Vec::new();
        for known in self.keywords {
            if let Shape::Block(block, _, _) = known.shape {
                if block.keyword(keyword).is_some() {
                    homes.push(known.name);
                }
                homes.extend(block.homes(keyword));
            }
        }
        homes.dedup();
        homes
    }
}

/// The file itself.
pub static FILE: Block = Block {
    name: "",
    takes_names: false,
    keywords: &[
        keyword("global_defs", Shape::Block(&global::GLOBAL_DEFS, 0, 0)),
        keyword("static_ipaddress", Shape::Lines(0, 0)).without(reasons::STATIC),
        keyword("static_routes", Shape::Lines(0, 0)).without(reasons::STATIC),
        keyword("static_rules", Shape::Lines(0, 0)).without(reasons::STATIC),
        keyword("track_group", Shape::Block(&vrrp::TRACK_GROUP, 1, 1)).without(reasons::STATIC),
        keyword("linkbeat_interfaces", Shape::Lines(0, 0)).without(reasons::LINKBEAT),
        keyword("interface_up_down_delays", Shape::Lines(0, 0)).without(reasons::DEBOUNCE),
        keyword("garp_group", Shape::Block(&vrrp::GARP_GROUP, 0, 0)),
        keyword("vrrp_script", Shape::Block(&vrrp::SCRIPT, 1, 1)),
        keyword("vrrp_instance", Shape::Block(&vrrp::INSTANCE, 1, 1)),
        keyword("vrrp_sync_group", Shape::Block(&vrrp::SYNC_GROUP, 1, 1)),
        keyword("track_file", Shape::Block(&vrrp::TRACK_FILE, 1, 1)).also(&["vrrp_track_file"]),
        keyword(
            "vrrp_track_process",
            Shape::Block(&vrrp::TRACK_PROCESS, 1, 1),
        )
        .also(&["track_process"]),
        keyword("bfd_instance", Shape::Block(&bfd::BFD, 1, 1)),
        keyword("virtual_server_group", Shape::Lines(1, 1)),
        keyword(
            "virtual_server",
            Shape::Block(&servers::VIRTUAL_SERVER, 1, 2),
        ),
        keyword("local_address_group", Shape::Lines(1, 1)).without(reasons::FULLNAT),
        keyword("SSL", Shape::Block(&checkers::SSL, 0, 0)),
        keyword("net_namespace", Shape::Word).without(reasons::NAMESPACE),
        keyword("net_namespace_ipvs", Shape::Words(0, 1)).without(reasons::NAMESPACE),
        keyword("namespace_with_ipsets", Shape::Flag).without(reasons::FIREWALL),
        keyword("instance", Shape::Word).without(reasons::PROCESSES),
        keyword("use_pid_dir", Shape::Flag).without(reasons::PROCESSES),
        keyword("linkbeat_use_polling", Shape::Flag).without(reasons::LINKBEAT),
        keyword("child_wait_time", Shape::Integer(0, 1 << 31)).without(reasons::PROCESSES),
    ],
};

const fn keyword(name: &'static str, shape: Shape) -> Keyword {
    Keyword {
        name,
        aliases: &[],
        shape,
        without_effect: None,
    }
}

impl Keyword {
    const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn without(self, reason: Reason) -> Self {
        Self {
            without_effect: Some(reason),
            ..self
        }
    }
}

/// The largest number where nothing else limits it.
const MOST: i64 = i32::MAX as i64;
/// keepalived's longest timer: what fits 32 bits of microseconds.
const LONGEST: f64 = 4294.0;
/// Words without limit.
const ANY: usize = usize::MAX;
