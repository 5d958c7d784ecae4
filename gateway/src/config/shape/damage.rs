//! What the shape check has taken out of the tree.

use std::collections::BTreeSet;

use plugins::contract::place::Span;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Objects that are no longer whole. A key that is missing from one of them, or a reference to one that is gone, is no
/// mistake of its own.
#[derive(Debug, Default)]
pub(in crate::config) struct Damage {
    objects: BTreeSet<(String, String)>,
    hidden: Vec<Span>,
}

impl Damage {
    /// Whether `[table.name]` has lost something.
    pub(in crate::config) fn has(&self, table: &str, name: &str) -> bool {
        self.objects.contains(&(table.to_owned(), name.to_owned()))
    }

    /// The names of a table's objects that have lost something.
    pub(in crate::config) fn names(&self, table: &str) -> impl Iterator<Item = &str> + Clone {
        self.objects
            .iter()
            .filter(move |(other, _)| other == table)
            .map(|(_, name)| name.as_str())
    }

    /// Whether any object of a table has lost something.
    pub(in crate::config) fn any(&self, table: &str) -> bool {
        self.objects.iter().any(|(other, _)| other == table)
    }

    /// Places whose text may be a secret.
    pub(in crate::config) fn hidden(&self) -> &[Span] {
        &self.hidden
    }

    pub(super) fn add(&mut self, path: &[String]) {
        let part = |index| path.get(index).cloned().unwrap_or_default();
        self.objects.insert((part(0), part(1)));
    }

    pub(super) fn add_object(&mut self, table: &str, name: &str) {
        self.objects.insert((table.to_owned(), name.to_owned()));
    }

    pub(super) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// Takes references to named policies that are gone out of the tables that name them.
    pub(super) fn drop_references(&mut self, root: &mut DeTable<'_>) {
        let mut gone = BTreeSet::new();
        for (table, name) in &self.objects {
            let there = root
                .get(table.as_str())
                .and_then(|node| node.get_ref().as_table())
                .is_some_and(|table| table.contains_key(name.as_str()));
            if !there && plugins::chain::NAMES.contains(&table.as_str()) {
                gone.insert((table.clone(), name.clone()));
            }
        }
        if gone.is_empty() {
            return;
        }
        for top in ["always", "defaults"] {
            if let Some(DeValue::Table(table)) = root.get_mut(top).map(Spanned::get_mut) {
                without(table, &gone);
            }
        }
        let routes = root.get_mut("route").map(Spanned::get_mut);
        if let Some(DeValue::Table(routes)) = routes {
            for (_, route) in routes {
                if let DeValue::Table(table) = route.get_mut() {
                    without(table, &gone);
                }
            }
        }
    }
}

fn without(table: &mut DeTable<'_>, gone: &BTreeSet<(String, String)>) {
    let is_gone = |plugin: &str, value: &DeValue<'_>| {
        let name = value.as_str().unwrap_or_default();
        gone.contains(&(plugin.to_owned(), name.to_owned()))
    };
    for (plugin, node) in std::mem::take(table) {
        if !is_gone(plugin.get_ref(), node.get_ref()) {
            table.insert(plugin, node);
        }
    }
    for (plugin, node) in table {
        let plugin = plugin.get_ref().as_ref();
        // `auth = { any = [...] }` is a list in a table.
        let list = if let DeValue::Table(table) = node.get_mut() {
            table.get_mut("any").map(Spanned::get_mut)
        } else {
            Some(node.get_mut())
        };
        if let Some(DeValue::Array(items)) = list {
            let taken = std::mem::replace(items, DeArray::new());
            taken
                .into_iter()
                .filter(|item| !is_gone(plugin, item.get_ref()))
                .for_each(|item| items.push(item));
        }
    }
}
