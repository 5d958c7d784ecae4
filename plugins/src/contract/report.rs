//! Complaints about a configuration, as data. The gateway renders them; nothing here prints.

use super::place::Span;

/// Whether a complaint stops the configuration from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used; the operator should know.
    Warning,
}

/// One complaint: where, what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// Error or warning.
    pub severity: Severity,
    /// Stable name of the kind of complaint, for example `config.unknown-key`.
    pub code: &'static str,
    /// One sentence without a full stop: what is wrong.
    pub message: String,
    /// Where. `None` only for what has no place, such as an unreadable file.
    pub span: Option<Span>,
    /// The text under the caret.
    pub label: String,
    /// Other places that matter, each with its text.
    pub related: Vec<(Span, String)>,
    /// The cure.
    pub help: Option<String>,
}

impl Complaint {
    /// Sets the text under the caret.
    pub fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = text.into();
        self
    }

    /// Adds another place that matters.
    pub fn related(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.related.push((span, text.into()));
        self
    }

    /// Says what would be right.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }
}

/// All complaints about one configuration, in the order they were found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    complaints: Vec<Complaint>,
}

impl Report {
    /// Adds an error at a place; the returned complaint takes label, help and related places.
    pub fn error(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
    ) -> &mut Complaint {
        self.add(Severity::Error, Some(span), code, message.into())
    }

    /// Adds a warning at a place.
    pub fn warn(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
    ) -> &mut Complaint {
        self.add(Severity::Warning, Some(span), code, message.into())
    }

    /// Adds an error that has no place in a file.
    pub fn error_nowhere(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
    ) -> &mut Complaint {
        self.add(Severity::Error, None, code, message.into())
    }

    /// Whether any complaint is an error.
    pub fn has_errors(&self) -> bool {
        self.complaints
            .iter()
            .any(|complaint| complaint.severity == Severity::Error)
    }

    /// The complaints, in the order they were found.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// Takes over the complaints of another report.
    pub fn extend(&mut self, other: Report) {
        self.complaints.extend(other.complaints);
    }

    /// Puts the complaints into the order of their places and drops repetitions: routes that are `like` each other
    /// share their mistakes.
    pub fn tidy(&mut self) {
        let place =
            |complaint: &Complaint| complaint.span.as_ref().map(|span| (span.start, span.end));
        self.complaints.sort_by(|a, b| {
            let kind = |complaint: &Complaint| (complaint.code, complaint.message.clone());
            place(a).cmp(&place(b)).then_with(|| kind(a).cmp(&kind(b)))
        });
        self.complaints.dedup();
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Option<Span>,
        code: &'static str,
        message: String,
    ) -> &mut Complaint {
        self.complaints.push(Complaint {
            severity,
            code,
            message,
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        });
        let last = self.complaints.len() - 1;
        #[expect(
            clippy::indexing_slicing,
            reason = "the element was pushed two lines above"
        )]
        &mut self.complaints[last]
    }
}

/// The candidate most like a mistyped name, if one is near enough to be meant: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two names; the optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped && x != y {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant() {
        let names = ["connect-timeout", "read-timeout", "health", "targets"];
        let near = |name| nearest(name, names.into_iter());
        assert_eq!(near("conect-timeout"), Some("connect-timeout"));
        assert_eq!(near("raed-timeout"), Some("read-timeout"));
        assert_eq!(near("target"), Some("targets"));
        assert_eq!(near("balance"), None);
    }

    #[test]
    fn counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
