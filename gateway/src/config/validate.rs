//! From the configuration as written to the configuration as meant: defaults filled in, names resolved, rules checked.
//!
//! Opens nothing but the files that hold certificates and keys, and asks the clock only for these. Reports every mistake; says nothing about what the shape check took away.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plugins::contract::file::FileRef;
use plugins::contract::place::{At, Span};
use plugins::contract::report::{Report, nearest};

mod action;
mod address;
mod bounds;
mod cache;
mod conflict;
mod consumer;
mod health;
mod like;
mod listener;
mod matcher;
mod mirror;
mod overload;
mod path_change;
mod people;
mod process;
mod redirect;
mod respond;
mod retry;
mod route;
mod store;
mod tls;
mod upstream;
mod values;

use super::files::Files;
use super::model::{Config, ListenerConfig};
use super::raw::Raw;
use super::secret::SecretRef;
use super::shape::Damage;
use super::source::{SourceFile, SourceMap};

/// Validates everything; `None` if there was any error, here or before.
pub(super) fn validate(
    raw: Raw,
    sources: &SourceMap,
    damage: &Damage,
    files: &mut Files,
    report: &mut Report,
) -> Option<Config> {
    let mut names = Names {
        listeners: positions(raw.listeners.keys()),
        serving: Vec::new(),
        upstreams: positions(raw.upstreams.keys()),
        cache_zones: positions(raw.cache_zones.keys()),
        stores: positions(raw.stores.keys()),
        people: people::People::default(),
    };
    let mut context = Context {
        sources,
        damage,
        files,
        report,
        authenticated: false,
    };
    let server = process::server(raw.server, &mut context);
    let overload = overload::overload(raw.overload, &server, &mut context);
    let listeners = listener::all(raw.listeners, &mut context);
    names.serving = serving(&listeners);
    let upstreams = upstream::all(raw.upstreams, &mut context);
    let cache_zones = cache::zones(raw.cache_zones, &names.stores, &mut context);
    let stores = store::all(raw.stores, &mut context);
    let admin = process::admin(raw.admin, &mut context);
    let access_log = process::access_log(raw.access_log, &mut context);
    address::check(&listeners, &upstreams, admin.as_ref(), &mut context);
    let issuers = consumer::Issuers::of(&raw.named.auth);
    let tables = consumer::Tables {
        consumers: raw.consumers,
        file: raw.consumers_file,
    };
    let (has_file, before) = (tables.file.is_some(), context.report.complaints().len());
    let consumers = consumer::all(tables, &issuers, &mut context);
    names.people = people::People {
        directory: consumers.clone(),
        has_file,
        whole: context.report.complaints().len() == before,
    };
    let routes = route::all(
        route::Tables {
            routes: raw.routes,
            always: raw.always,
            defaults: raw.defaults,
            named: raw.named,
        },
        &names,
        &mut context,
    );
    if context.report.has_errors() {
        return None;
    }
    let config = Config {
        server,
        listeners,
        upstreams,
        cache_zones,
        stores,
        routes: routes?,
        consumers,
        overload,
        admin,
        access_log,
    };
    upstream::warn_unused(&config, context.report);
    Some(config)
}

/// What every part of the validation needs.
struct Context<'a> {
    sources: &'a SourceMap,
    damage: &'a Damage,
    files: &'a mut Files,
    report: &'a mut Report,
    /// Whether the route that is looked at knows who asks.
    authenticated: bool,
}

/// Names that others refer to, with their positions in the model.
struct Names {
    listeners: BTreeMap<String, usize>,
    /// Listeners that do more than redirect.
    serving: Vec<usize>,
    upstreams: BTreeMap<String, usize>,
    cache_zones: BTreeMap<String, usize>,
    stores: BTreeMap<String, usize>,
    people: people::People,
}

fn serving(listeners: &[ListenerConfig]) -> Vec<usize> {
    let all = listeners.iter().enumerate();
    all.filter(|(_, one)| !one.only_redirects())
        .map(|(position, _)| position)
        .collect()
}

fn positions<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    names.cloned().zip(0..).collect()
}

impl Context<'_> {
    /// The position of the object that a name refers to.
    fn reference(
        &mut self,
        table: &str,
        name: &str,
        span: &Span,
        names: &BTreeMap<String, usize>,
    ) -> Option<usize> {
        if let Some(position) = names.get(name) {
            return Some(*position);
        }
        if !self.damage.has(table, name) {
            // One that is damaged exists all the same.
            let damage = self.damage;
            let names = names.keys().map(String::as_str).chain(damage.names(table));
            self.unknown(table, name, span, names);
        }
        None
    }

    fn unknown<'n>(
        &mut self,
        table: &str,
        name: &str,
        span: &Span,
        names: impl Iterator<Item = &'n str> + Clone,
    ) {
        let complaint = self.report.error(
            span.clone(),
            "config.unknown-reference",
            format!("unknown {table} `{name}`"),
        );
        complaint.label(format!("there is no [{table}.{name}]"));
        let listed: Vec<String> = names
            .clone()
            .take(9)
            .map(|name| format!("`{name}`"))
            .collect();
        match nearest(name, names) {
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None if listed.is_empty() => complaint.help(format!("add [{table}.{name}]")),
            None if listed.len() == 1 => complaint.help(format!("there is {}", listed.join(""))),
            None if listed.len() < 9 => complaint.help(format!("there are {}", listed.join(", "))),
            None => complaint,
        };
    }

    /// The path that a reference means: relative to the file that names it.
    fn path(&self, file: &At<FileRef>) -> PathBuf {
        let source = self.sources.file(file.span().start);
        let directory = source.map(SourceFile::directory).unwrap_or_default();
        directory.join(file.path())
    }

    /// Where a secret is, seen from the file that names it.
    fn secret(&self, leaf: At<SecretRef>) -> SecretRef {
        let directory = self.sources.file(leaf.span().start);
        let directory = directory.map(SourceFile::directory).unwrap_or_default();
        leaf.into_inner().relative_to(&directory)
    }

    /// Makes the content of a file a part of the configuration: when it changes, that is a new one.
    fn watch(&mut self, path: &Path) {
        // Who uses the file complains where it cannot be read.
        drop(self.files.read(path));
    }

    /// The place of a part of a string.
    fn inside(&self, span: &Span, text: &str, at: &Range<usize>) -> Span {
        super::shape::inside(self.sources, span, text, at)
    }
}

/// The value of an optional leaf.
fn plain<T: Copy>(leaf: Option<&At<T>>) -> Option<T> {
    leaf.map(|leaf| **leaf)
}
