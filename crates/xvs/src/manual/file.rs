//! xvs.conf(5): the configuration file in keepalived's language, made of the keywords' table.

use anyhow::Result;
use clap_mangen::roff::{Roff, bold, italic, roman};
use config::schema::{Block, FILE, Keyword, Shape};

use crate::manual::Page;
use crate::serve::options::RULES;

const DESCRIPTION: [&str; 5] = [
    "The file that xvs serve -f is given, as a rule /etc/xvs/xvs.conf or an existing /etc/keepalived/keepalived.conf: \
     virtual servers with their real servers and the checks of these, and virtual routers (VRRP). Its language and its \
     keywords are those of keepalived.conf(5), which says what they mean; this page lists every one of them, with what \
     it takes, and says which have no effect here, and why.",
    "A line is a keyword and what follows it; words are separated by blanks, and quoted by \" where they hold some. A \
     block stands in braces. A ! or # begins a comment. A line that ends in a backslash goes on in the next one.",
    "include FILE reads other files, by a pattern too. $NAME=VALUE defines what $NAME or ${NAME} stands for afterwards. \
     A line that begins with @NAME counts only where the configuration's \
     name (xvs serve -i, else the host's) is that, with @^NAME only where it is not. ~SEQ(NAME, 1, 1, 9) and ~LST(NAME, a, b) repeat what follows them.",
    "xvs check FILE says what is wrong with a file, and where. xvs config show FILE prints what it means, with every \
     default written out. A file that is wrong is not used; read again, by xvs reload, it changes nothing then.",
    "In the lists below, ! stands before a keyword without effect.",
];

/// The page.
///
/// # Errors
/// When it cannot be put together.
pub fn page() -> Result<Page> {
    let mut roff = Roff::new();
    let source = format!("xvs {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["xvs.conf", "5", "", source.as_str(), ""]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(
        "xvs.conf - configuration of virtual servers, checks and virtual routers",
    )]);
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in DESCRIPTION {
        roff.control("PP", []);
        roff.text([roman(paragraph)]);
    }
    roff.control("SH", ["KEYWORDS OF THE FILE ITSELF"]);
    keywords(&mut roff, &FILE);
    let mut seen = Vec::new();
    blocks(&mut roff, &FILE, "", &mut seen);
    roff.control("SH", ["FILES"]);
    roff.control("TP", []);
    roff.text([bold(RULES)]);
    roff.text([roman(
        "Without -f: the configuration after boot, as xvs config save writes it. What ipvsadm-save -n prints, and lines \
         of xvs set and xvs mark add.",
    )]);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(
        "keepalived.conf(5), xvs-serve(1), xvs-check(1), xvs-config(1), ipvsadm(8)",
    )]);
    Ok(Page {
        name: "xvs.conf".to_owned(),
        section: 5,
        text: roff.render().into_bytes(),
    })
}

/// A section for each block within this one; a block that stands at several places has one.
fn blocks(roff: &mut Roff, outer: &'static Block, path: &str, seen: &mut Vec<&'static Block>) {
    for keyword in outer.keywords {
        let Shape::Block(block, ..) = keyword.shape else {
            continue;
        };
        if seen.iter().any(|known| std::ptr::eq(*known, block)) {
            continue;
        }
        seen.push(block);
        let path = format!("{path}{} ", keyword.name);
        roff.control("SH", [format!("KEYWORDS OF {}", path.trim_end()).as_str()]);
        keywords(roff, block);
        blocks(roff, block, &path, seen);
    }
}

fn keywords(roff: &mut Roff, block: &'static Block) {
    for keyword in block.keywords {
        roff.control("TP", []);
        let mark = keyword.without_effect.map_or("", |_| "! ");
        let takes = takes(&keyword.shape);
        roff.text([roman(mark), bold(keyword.name), roman(" "), italic(takes)]);
        roff.text([roman(remark(keyword))]);
    }
}

/// What is to be said of a keyword besides its name.
fn remark(keyword: &Keyword) -> String {
    let mut remarks = Vec::new();
    if !keyword.aliases.is_empty() {
        remarks.push(format!("Also {}.", keyword.aliases.join(", ")));
    }
    if let Some(reason) = keyword.without_effect {
        remarks.push(format!("No effect: {}; {}.", reason.why, reason.remedy));
    }
    remarks.join(" ")
}

/// What follows a keyword.
fn takes(shape: &Shape) -> String {
    let words = |least: usize, most: usize| match (least, most) {
        (0, 0) => String::new(),
        (1, 1) => "WORD".to_owned(),
        (0, 1) => "[WORD]".to_owned(),
        (1, _) => "WORD ...".to_owned(),
        (0, _) => "[WORD ...]".to_owned(),
        (least, _) => format!("{}...", "WORD ".repeat(least)),
    };
    match *shape {
        Shape::Flag => String::new(),
        Shape::Switch => "[on|off]".to_owned(),
        Shape::Integer(least, most) => format!("{least} to {most}"),
        Shape::OptionalInteger(least, most) => format!("[{least} to {most}]"),
        Shape::Seconds(least, most) => format!("SECONDS, {least} to {most}"),
        Shape::Milliseconds(least, most) => format!("MILLISECONDS, {least} to {most}"),
        Shape::Address => "ADDRESS".to_owned(),
        Shape::Choice(choices) => choices.join("|"),
        Shape::Word => "WORD".to_owned(),
        Shape::Words(least, most) => words(least, most),
        Shape::Command => "COMMAND [USER [GROUP]]".to_owned(),
        Shape::Block(_, least, most) => format!("{} {}", words(least, most), "{ ... }"),
        Shape::Lines(least, most) => format!("{} {}", words(least, most), "{ LINES }"),
    }
    .trim_start()
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_every_depth_are_listed() {
        let text = String::from_utf8(page().unwrap().text).unwrap();
        for keyword in [
            "virtual_server",
            "quorum_up",
            "HTTP_GET",
            "status_code",
            "virtual_router_id",
        ] {
            assert!(text.contains(&format!("\\fB{keyword}\\fR")), "{keyword}");
        }
    }
}
