//! The tree that TOML gives, with positions in the whole configuration instead of in one file.

use plugins::contract::place::Span;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

/// A node of the tree with its place.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// A key with its place.
pub(super) type Key<'i> = Spanned<DeString<'i>>;

/// Moves every place of a file's tree behind the files before it.
pub(super) fn shift(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    let mut shifted = DeTable::new();
    for (key, node) in table {
        let span = moved(&key.span(), base);
        shifted.insert(Spanned::new(span, key.into_inner()), shift_node(node, base));
    }
    shifted
}

fn shift_node(node: Node<'_>, base: usize) -> Node<'_> {
    let span = moved(&node.span(), base);
    let value = match node.into_inner() {
        DeValue::Table(table) => DeValue::Table(shift(table, base)),
        DeValue::Array(array) => {
            let items = array.into_iter().map(|item| shift_node(item, base));
            DeValue::Array(items.collect::<DeArray<'_>>())
        }
        leaf @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => leaf,
    };
    Spanned::new(span, value)
}

fn moved(span: &Span, base: usize) -> Span {
    span.start + base..span.end + base
}

/// What kind of value a node is, as a schema names it.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}
