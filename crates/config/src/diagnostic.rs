//! What there is to say about a configuration.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::{Sources, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is used, and does not do all that it says.
    Warning,
    /// The configuration is not used.
    Error,
}

/// Something wrong at a place, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Why, beside the underlined text.
    pub label: String,
    /// What to do about it.
    pub help: String,
    /// Another place that has to do with it, and how.
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    pub(crate) fn error(
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span,
            label: label.into(),
            help: help.into(),
            related: None,
        }
    }

    pub(crate) fn warning(
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message, label, help)
        }
    }

    pub(crate) fn beside(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// One line for a log: the place, what is wrong, and the remedy.
    pub fn line(&self, sources: &Sources) -> String {
        let place = match sources.line(self.span) {
            Some((path, line)) => format!("{}:{line}: ", path.display()),
            None => String::new(),
        };
        format!("{place}{} (help: {})", self.message, self.help)
    }
}

/// Diagnostics as the Rust compiler would print them.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, colours: bool) -> String {
    let renderer = if colours {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[report(diagnostic, sources)]));
        text.push_str("\n\n");
    }
    text
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    let related = diagnostic.related.as_ref();
    let same_file = related.filter(|(span, _)| span.file == diagnostic.span.file);
    let mut snippet = snippet(sources, diagnostic.span).annotation(
        AnnotationKind::Primary
            .span(range(diagnostic.span))
            .label(diagnostic.label.as_str()),
    );
    if let Some((span, label)) = same_file {
        snippet = snippet.annotation(
            AnnotationKind::Context
                .span(range(*span))
                .label(label.as_str()),
        );
    }
    group = group.element(snippet);
    if let Some((span, label)) = related.filter(|_| same_file.is_none()) {
        group = group.element(
            self::snippet(sources, *span).annotation(
                AnnotationKind::Context
                    .span(range(*span))
                    .label(label.as_str()),
            ),
        );
    }
    group.element(Level::HELP.message(diagnostic.help.as_str()))
}

fn snippet<'a>(sources: &'a Sources, span: Span) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let (path, text) = sources.get(span.file).map_or(("".into(), ""), |source| {
        (source.path.to_string_lossy(), source.text.as_str())
    });
    Snippet::source(text).path(path)
}

/// Spans are made of whole characters of their file's text.
fn range(span: Span) -> std::ops::Range<usize> {
    let index = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    index(span.start)..index(span.end)
}
