//! `[consumer.NAME]` and the file of consumers: one directory, in which no two can be taken for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use plugins::auth::RawAuth;
use plugins::contract::consumers::{ConsumerConfig, Credential, Directory, Twice};
use plugins::contract::file::FileRef;
use plugins::contract::identity::Consumer;
use plugins::contract::place::{At, Span};
use serde_json::Value;

use super::Context;
use crate::config::consumers::{self, Found, Mistake};
use crate::config::files::Digest;
use crate::config::leaf::name_error;
use crate::config::raw::{Either, RawConsumer, RawSubject};

/// Complaints about one file that are worth reading.
const COMPLAINTS_MAX: usize = 20;

/// The consumers of a configuration as written.
pub(super) struct Tables {
    pub(super) consumers: BTreeMap<String, At<RawConsumer>>,
    pub(super) file: Option<At<FileRef>>,
}

/// The providers whose tokens have subjects.
pub(super) struct Issuers {
    names: BTreeSet<String>,
    all: BTreeSet<String>,
}

/// What was made of the same consumers before.
struct Known {
    written: Vec<ConsumerConfig>,
    file: Option<Digest>,
    directory: Weak<Directory>,
}

/// The last directory: a reload that changes no consumer keeps it, and with it what others remember of its consumers.
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// Where a consumer is written.
enum Place {
    /// In the configuration.
    Table(Span),
    /// In the file, so many bytes from its start.
    File(usize),
}

impl Issuers {
    pub(super) fn of(auth: &BTreeMap<String, At<RawAuth>>) -> Self {
        let has_subjects = auth.iter().filter(|(_, raw)| raw.has_subjects());
        Self {
            names: has_subjects.map(|(name, _)| name.clone()).collect(),
            all: auth.keys().cloned().collect(),
        }
    }
}

/// All consumers.
pub(super) fn all(tables: Tables, issuers: &Issuers, context: &mut Context<'_>) -> Arc<Directory> {
    let mut places = Vec::new();
    let mut configs = Vec::new();
    for (name, raw) in tables.consumers {
        let span = raw.span();
        match meant(&name, raw.into_inner(), issuers) {
            Ok(config) => {
                configs.push(config);
                places.push(span);
            }
            Err(message) => {
                context.report.error(span, "consumer", message);
            }
        }
    }
    let Some(file) = tables.file else {
        let built = remembered(&configs, None, || build(&configs, Vec::new()));
        return built.unwrap_or_else(|twice| {
            complain(&twice, &places, None, context);
            Arc::default()
        });
    };
    let path = context.path(&file);
    let (text, digest) = match context.files.read_large(&path) {
        Ok(read) => read,
        Err(why) => {
            let message = format!("cannot read {}: {why}", path.display());
            context.report.error(file.span(), "config.file", message);
            return Arc::default();
        }
    };
    let source = Source {
        file: &file,
        path: &path,
        text: &text,
    };
    let mut mistakes = Vec::new();
    let built = remembered(&configs, Some(digest), || {
        let (more, wrong) = consumers::read(&text, |found| from_file(found, issuers));
        mistakes = wrong;
        build(&configs, more)
    });
    for mistake in mistakes.iter().take(COMPLAINTS_MAX) {
        source.complain(mistake.at, &mistake.message, context);
    }
    if mistakes.len() > COMPLAINTS_MAX {
        let more = mistakes.len() - COMPLAINTS_MAX;
        let message = format!("{}: {more} more mistakes", path.display());
        context.report.error(file.span(), "consumer", message);
    }
    built.unwrap_or_else(|twice| {
        complain(&twice, &places, Some(&source), context);
        Arc::default()
    })
}

/// The file of consumers while it is read.
struct Source<'a> {
    file: &'a At<FileRef>,
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    fn complain(&self, at: usize, message: &str, context: &mut Context<'_>) {
        let message = format!("{}: {message}", self.place(at));
        context
            .report
            .error(self.file.span(), "consumer", message)
            .label("in this file");
    }
}

/// Two that share something, or a mistake in the file: it has been told.
struct Collision {
    twice: Twice,
    /// The second one.
    second: usize,
    /// Where those from the file stand in it.
    file: Vec<usize>,
}

/// The directory that was made of the same before, or a new one.
fn remembered(
    written: &[ConsumerConfig],
    file: Option<Digest>,
    make: impl FnOnce() -> Result<Directory, Box<Collision>>,
) -> Result<Arc<Directory>, Box<Collision>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = &*known
        && known.file == file
        && known.written == written
        && let Some(directory) = known.directory.upgrade()
    {
        return Ok(directory);
    }
    let directory = Arc::new(make()?);
    *known = Some(Known {
        written: written.to_vec(),
        file,
        directory: Arc::downgrade(&directory),
    });
    Ok(directory)
}

fn build(
    written: &[ConsumerConfig],
    file: Vec<(ConsumerConfig, usize)>,
) -> Result<Directory, Box<Collision>> {
    let mut directory = Directory::with_capacity(written.len() + file.len());
    let (file, places): (Vec<_>, Vec<_>) = file.into_iter().unzip();
    for (second, config) in written.iter().cloned().chain(file).enumerate() {
        if let Err(twice) = directory.add(config) {
            return Err(Box::new(Collision {
                twice,
                second,
                file: places,
            }));
        }
    }
    Ok(directory)
}

fn from_file(found: Found, issuers: &Issuers) -> Result<ConsumerConfig, Mistake> {
    let Found { name, raw, at } = found;
    if let Some(why) = name_error(&name) {
        let message = format!("`{name}` cannot name a consumer: {why}");
        return Err(Mistake { at, message });
    }
    meant(&name, raw, issuers).map_err(|message| Mistake { at, message })
}

/// A consumer as meant, or what is wrong with it.
fn meant(name: &str, raw: RawConsumer, issuers: &Issuers) -> Result<ConsumerConfig, String> {
    let subjects = subjects(name, raw.jwt_subject, issuers)?;
    let text = |written: Option<At<String>>, key: &str| match written {
        Some(text) if text.is_empty() => Err(format!("[consumer.{name}]: `{key}` is empty")),
        Some(text) => Ok(Some(text.into_inner())),
        None => Ok(None),
    };
    Ok(ConsumerConfig {
        consumer: Consumer {
            plan: text(raw.plan, "plan")?.map(Into::into),
            groups: raw
                .groups
                .into_iter()
                .flatten()
                .map(String::into_boxed_str)
                .collect(),
            metadata: raw
                .metadata
                .map(|data| data.into_iter().map(|(key, value)| (key, plain(value))))
                .map(Iterator::collect)
                .unwrap_or_default(),
            name: name.into(),
        },
        api_keys: raw
            .api_keys
            .into_iter()
            .flatten()
            .map(|hash| hash.digest())
            .collect(),
        password: raw
            .password
            .map(plugins::auth::hash::PasswordHash::into_text),
        subjects,
        certificate: text(raw.certificate, "certificate")?.map(Into::into),
    })
}

/// Whose tokens name the consumer, and how.
#[expect(clippy::type_complexity, reason = "the directory's own pairs")]
fn subjects(
    name: &str,
    written: Option<At<RawSubject>>,
    issuers: &Issuers,
) -> Result<Vec<(Option<Box<str>>, Box<str>)>, String> {
    let Some(written) = written else {
        return Ok(Vec::new());
    };
    match written.into_inner() {
        Either::Short(_) if issuers.names.len() > 1 => {
            let names: Vec<&str> = issuers.names.iter().map(String::as_str).collect();
            let first = names.first().copied().unwrap_or_default();
            Err(format!(
                "[consumer.{name}]: `jwt-subject` does not say whose tokens these are: write {{ {first} = \"…\" }}; \
                 there are {}",
                names.join(", ")
            ))
        }
        Either::Short(subject) => Ok(vec![(None, subject.into())]),
        Either::Long(subjects) => {
            if let Some(unknown) = subjects.keys().find(|name| !issuers.all.contains(*name)) {
                return Err(format!(
                    "[consumer.{name}]: `jwt-subject` names `{unknown}`, but there is no [auth.{unknown}]"
                ));
            }
            let pair = |(of, subject): (String, At<String>)| {
                (Some(of.into()), subject.into_inner().into())
            };
            Ok(subjects.into_iter().map(pair).collect())
        }
    }
}

/// A date of TOML is a text; serde hands it on as a table with a name that nobody writes.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut object) => match object.remove("$__toml_private_datetime") {
            Some(date) => date,
            None => Value::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, plain(value)))
                    .collect(),
            ),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn complain(
    collision: &Collision,
    places: &[Span],
    source: Option<&Source<'_>>,
    context: &mut Context<'_>,
) {
    let what = match collision.twice.what {
        Credential::Name => "name".to_owned(),
        Credential::ApiKey(index) => format!("API key (number {} of the second one)", index + 1),
        Credential::Subject => "`jwt-subject`".to_owned(),
        Credential::Certificate => "`certificate`".to_owned(),
    };
    let message = format!("two consumers have the same {what}");
    let place = |index: usize| match places.get(index) {
        Some(span) => Some(Place::Table(span.clone())),
        None => collision
            .file
            .get(index - places.len())
            .map(|at| Place::File(*at)),
    };
    let (first, second) = (place(collision.twice.first), place(collision.second));
    let told = |place: &Option<Place>| match (place, source) {
        (Some(Place::File(at)), Some(source)) => source.place(*at),
        _ => String::new(),
    };
    let file = || source.map(|source| source.file.span());
    let span = |place: &Option<Place>| match place {
        Some(Place::Table(span)) => Some(span.clone()),
        Some(Place::File(_)) | None => file(),
    };
    let message = match (told(&first), told(&second)) {
        (first, second) if first.is_empty() && second.is_empty() => message,
        (first, second) if first.is_empty() => format!("{message}: {second}"),
        (first, second) => format!("{message}: {first} and {second}"),
    };
    let Some(place) = span(&second) else {
        return;
    };
    let complaint = context
        .report
        .error(place.clone(), "consumer.twice", message);
    complaint.label("the second one");
    if let Some(other) = span(&first).filter(|other| *other != place) {
        complaint.related(other, "the first one");
    }
    complaint.help("a credential belongs to one consumer");
}
