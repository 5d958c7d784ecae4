//! Reads a file of consumers, however many: cut into pieces between its tables, read by several threads.
//!
//! What is wrong is told with its line; the text itself is not kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;

use plugins::contract::place::{At, Span};
use serde::Deserialize;

use super::raw::RawConsumer;

/// Bytes that are read at once: the reader's own tables stay small.
const PIECE_BYTES: usize = 256 * 1024;
/// Threads that read.
const THREADS_MAX: usize = 8;

/// A file of consumers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawFile {
    consumer: BTreeMap<String, At<RawConsumer>>,
}

/// One table of the file.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) raw: RawConsumer,
    /// Where it starts.
    pub(super) at: usize,
}

/// Something that is wrong with the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where.
    pub(super) at: usize,
    pub(super) message: String,
}

/// Reads a text, and makes something of each table while it is at hand.
pub(super) fn read<T: Send>(
    text: &str,
    make: impl Fn(Found) -> Result<T, Mistake> + Sync,
) -> (Vec<(T, usize)>, Vec<Mistake>) {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pieces = pieces(text);
    let share = pieces.len().div_ceil(threads.min(THREADS_MAX)).max(1);
    let make = &make;
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = pieces
            .chunks(share)
            .map(|pieces| scope.spawn(move || several(text, pieces, make)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| unread()))
            .collect()
    });
    let (mut tables, mut mistakes) = (Vec::new(), Vec::new());
    for (more, wrong) in parts {
        tables.extend(more);
        mistakes.extend(wrong);
    }
    (tables, mistakes)
}

/// A thread that has come to grief has read nothing.
fn unread<T>() -> (Vec<(T, usize)>, Vec<Mistake>) {
    let message = "the file cannot be read".to_owned();
    (Vec::new(), vec![Mistake { at: 0, message }])
}

fn several<T>(
    text: &str,
    pieces: &[Range<usize>],
    make: &impl Fn(Found) -> Result<T, Mistake>,
) -> (Vec<(T, usize)>, Vec<Mistake>) {
    let (mut tables, mut mistakes) = (Vec::new(), Vec::new());
    for piece in pieces {
        let base = piece.start;
        let text = text.get(piece.clone()).unwrap_or_default();
        match toml::from_str::<RawFile>(text) {
            Ok(file) => {
                for (name, raw) in file.consumer {
                    let at = base + raw.span().start;
                    let raw = raw.into_inner();
                    match make(Found { name, raw, at }) {
                        Ok(one) => tables.push((one, at)),
                        Err(mistake) => mistakes.push(mistake),
                    }
                }
            }
            // A piece without tables: comments and empty lines.
            Err(_) if is_blank(text) => {}
            Err(error) => mistakes.push(Mistake {
                at: base + error.span().map_or(0, |span: Span| span.start),
                message: error.message().replace('\n', ", "),
            }),
        }
    }
    (tables, mistakes)
}

fn is_blank(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// Cuts between tables. A text whose strings may hold what looks like a table is not cut.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let uncut = text.contains("\"\"\"") || text.contains("'''");
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = if uncut {
            text.len()
        } else {
            next_table(text, start + PIECE_BYTES)
        };
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The start of the next `[consumer.NAME]` line; a table inside of a consumer is none.
fn next_table(text: &str, from: usize) -> usize {
    const HEADER: &[u8] = b"\n[consumer.";
    let bytes = text.as_bytes();
    let mut from = from;
    while let Some(rest) = bytes.get(from..) {
        let Some(found) = rest
            .windows(HEADER.len())
            .position(|window| window == HEADER)
        else {
            break;
        };
        let name = from + found + HEADER.len();
        let line = bytes.get(name..).unwrap_or_default();
        let end = line.iter().position(|byte| *byte == b']').unwrap_or(0);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if end > 0 && line.iter().take(end).all(plain) {
            return from + found + 1;
        }
        from = name;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> (Vec<String>, Vec<Mistake>) {
        let (found, mistakes) = read(text, |found| Ok(found.name));
        (found.into_iter().map(|(name, _)| name).collect(), mistakes)
    }

    fn many(count: usize) -> String {
        use std::fmt::Write;
        let mut text = String::from("# who may call\n\n");
        for index in 0..count {
            write!(
                text,
                "[consumer.c{index}]\nplan = \"free\"\ngroups = [\"a\", \"b\"]\napi-keys = [\"sha256:{index:064x}\"]\n\
                 [consumer.c{index}.metadata]\nowner = \"team {index}\"\n\n"
            )
            .unwrap();
        }
        text
    }

    #[test]
    fn reads_every_table_wherever_it_is_cut() {
        let text = many(9_000);
        assert!(pieces(&text).len() > 4);
        let (names, mistakes) = names(&text);
        assert_eq!(mistakes, []);
        assert_eq!(names.len(), 9_000);
    }

    #[test]
    fn a_table_inside_of_a_string_is_no_table() {
        let text = "[consumer.a]\ncertificate = '''\n[consumer.b]\n'''\n";
        assert_eq!(names(text).0, ["a"]);
    }

    #[test]
    fn says_where_a_mistake_is() {
        let text = many(5_000).replace("[consumer.c4000]\nplan", "[consumer.c4000]\npaln");
        let (_, mistakes) = names(&text);
        let [mistake] = mistakes.as_slice() else {
            panic!("{mistakes:?}");
        };
        assert_eq!(text.get(mistake.at..mistake.at + 4), Some("paln"));
        assert!(mistake.message.contains("paln"), "{mistake:?}");
    }

    #[test]
    fn an_empty_file_has_no_consumers() {
        assert_eq!(names(""), (vec![], vec![]));
        assert_eq!(names("# nobody yet\n\n"), (vec![], vec![]));
        assert_eq!(names("[other.a]\n").1.len(), 1);
    }
}
