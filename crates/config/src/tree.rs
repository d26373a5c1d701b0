//! Words, statements and blocks.

use crate::diagnostic::Diagnostic;
use crate::expand::{Char, Line};
use crate::source::Span;

/// A word, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Where it is written.
    pub span: Span,
    /// Whether part of it was in quotes.
    pub quoted: bool,
}

/// A keyword with its arguments, and the block that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The first word of the line.
    pub keyword: Word,
    /// The others.
    pub arguments: Vec<Word>,
    /// What stands between braces behind it.
    pub block: Option<Vec<Statement>>,
}

impl Statement {
    /// All its words.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        std::iter::once(&self.keyword).chain(&self.arguments)
    }

    /// Where its line is written.
    pub fn span(&self) -> Span {
        let last = self.arguments.last().unwrap_or(&self.keyword);
        self.keyword.span.to(last.span)
    }

    /// The statements of its block.
    pub fn inner(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }
}

enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
    End,
}

/// Statements and blocks of lines.
pub(crate) fn parse(lines: &[Line], diagnostics: &mut Vec<Diagnostic>) -> Vec<Statement> {
    let mut parser = Parser {
        open: Vec::new(),
        here: Vec::new(),
        words: Vec::new(),
    };
    for line in lines {
        for token in tokens(line, diagnostics) {
            parser.take(token, diagnostics);
        }
    }
    parser.finish(diagnostics)
}

/// The blocks that are open, the outermost first: what came before each in its own block, and where
/// its brace is.
struct Parser {
    open: Vec<(Vec<Statement>, Span)>,
    here: Vec<Statement>,
    words: Vec<Word>,
}

impl Parser {
    fn take(&mut self, token: Token, diagnostics: &mut Vec<Diagnostic>) {
        match token {
            Token::Word(word) => self.words.push(word),
            Token::End => self.end_statement(),
            Token::Open(span) => {
                self.end_statement();
                let follows = self.here.last().is_some_and(|last| last.block.is_none());
                if !follows {
                    diagnostics.push(Diagnostic::error(
                        span,
                        "a block without a keyword",
                        "nothing stands before this brace",
                        "write the block's keyword before it, or remove the brace",
                    ));
                }
                self.open.push((std::mem::take(&mut self.here), span));
            }
            Token::Close(span) => {
                self.end_statement();
                match self.open.pop() {
                    Some((outer, _)) => self.close(outer),
                    None => diagnostics.push(Diagnostic::error(
                        span,
                        "a closing brace too many",
                        "no block is open here",
                        "remove it, or look above for a block that ends too early",
                    )),
                }
            }
        }
    }

    fn end_statement(&mut self) {
        let mut words = std::mem::take(&mut self.words).into_iter();
        if let Some(keyword) = words.next() {
            self.here.push(Statement {
                keyword,
                arguments: words.collect(),
                block: None,
            });
        }
    }

    fn close(&mut self, mut outer: Vec<Statement>) {
        let inner = std::mem::take(&mut self.here);
        if let Some(last) = outer.last_mut()
            && last.block.is_none()
        {
            last.block = Some(inner);
        }
        self.here = outer;
    }

    fn finish(mut self, diagnostics: &mut Vec<Diagnostic>) -> Vec<Statement> {
        self.end_statement();
        while let Some((outer, span)) = self.open.pop() {
            diagnostics.push(Diagnostic::error(
                span,
                "a block that does not end",
                "this brace is never closed",
                "add the closing brace `}' where the block ends",
            ));
            self.close(outer);
        }
        self.here
    }
}

fn tokens(line: &Line, diagnostics: &mut Vec<Diagnostic>) -> Vec<Token> {
    let mut scanner = Scanner {
        chars: line,
        at: 0,
        tokens: Vec::new(),
    };
    while let Some(&Char { c, span }) = line.get(scanner.at) {
        match c {
            _ if c.is_whitespace() => scanner.at += 1,
            '{' => scanner.single(Token::Open(span)),
            '}' => scanner.single(Token::Close(span)),
            _ => scanner.word(diagnostics),
        }
    }
    scanner.tokens.push(Token::End);
    scanner.tokens
}

struct Scanner<'a> {
    chars: &'a [Char],
    at: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn single(&mut self, token: Token) {
        self.tokens.push(token);
        self.at += 1;
    }

    /// A word: up to a space or brace, where neither counts in quotes, and `${NAME}` is none.
    fn word(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let first = self.chars[self.at].span;
        let mut word = Word {
            text: String::new(),
            span: first,
            quoted: false,
        };
        let mut quote: Option<Char> = None;
        let mut in_variable = false;
        while let Some(&here) = self.chars.get(self.at) {
            match (here.c, quote) {
                ('\\', _) if self.at + 1 < self.chars.len() => {
                    self.at += 1;
                    self.escape(&mut word.text);
                    continue;
                }
                (c, Some(open)) if c == open.c => quote = None,
                (c, Some(_)) => word.text.push(c),
                ('"' | '\'', None) => {
                    quote = Some(here);
                    word.quoted = true;
                }
                ('{', None) if word.text.ends_with('$') => {
                    in_variable = true;
                    word.text.push('{');
                }
                ('}', None) if in_variable => {
                    in_variable = false;
                    word.text.push('}');
                }
                (c, None) if c.is_whitespace() || c == '{' || c == '}' => break,
                (c, None) => word.text.push(c),
            }
            word.span = word.span.to(here.span);
            self.at += 1;
        }
        if let Some(open) = quote {
            diagnostics.push(Diagnostic::error(
                open.span.to(word.span),
                "a quote that does not end",
                "the quote begins here, and is not closed on this line",
                format!("add the closing quote {}", open.c),
            ));
        }
        self.tokens.push(Token::Word(word));
    }

    /// What follows a backslash, as in a shell's `$'...'`.
    fn escape(&mut self, text: &mut String) {
        let c = self.chars[self.at].c;
        self.at += 1;
        match c {
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'E' => text.push('\u{1b}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\u{b}'),
            'x' => self.number(text, 16, 2, 0),
            '0'..='7' => {
                let first = c.to_digit(8).unwrap_or(0);
                self.number(text, 8, 2, first);
            }
            'c' => {
                if let Some(next) = self.chars.get(self.at) {
                    self.at += 1;
                    text.extend(char::from_u32(u32::from(next.c) & 0x1f));
                }
            }
            other => text.push(other),
        }
    }

    fn number(&mut self, text: &mut String, radix: u32, most: usize, first: u32) {
        let mut value = first;
        for _ in 0..most {
            let digit = self
                .chars
                .get(self.at)
                .and_then(|next| next.c.to_digit(radix));
            let Some(digit) = digit else { break };
            value = value * radix + digit;
            self.at += 1;
        }
        text.extend(char::from_u32(value));
    }
}
