//! All that compiling would complain about, in one run: for `gateway check`, which speaks to nobody.
//!
//! A secret that cannot be read is a warning: who checks a configuration is seldom who runs it.

use std::sync::{Arc, Mutex, PoisonError};

use plugins::contract::file::FileRef;
use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;
use plugins::contract::secret::{Secret, SecretRef};
use plugins::contract::services::{Files, Services};

use super::super::outside::Outside;
use super::super::pages;
use super::{CompileError, Making, SharedParts, listeners, upstream};
use crate::config::Loaded;

/// Builds everything and keeps nothing of it.
pub fn check(loaded: &Arc<Loaded>, report: &mut Report) {
    let outside = Outside::nothing();
    let services = outside.services(loaded, Arc::default());
    let files = Arc::new(Watched {
        inner: services.files.clone(),
        unread: Mutex::default(),
    });
    let services = Services {
        files: files.clone(),
        ..services
    };
    let wrong = errors(loaded, &outside, services);
    let unread = std::mem::take(&mut *files.lock());
    for error in wrong {
        tell(&error, &unread, report);
    }
}

fn errors(loaded: &Loaded, outside: &Outside, services: Services) -> Vec<CompileError> {
    let config = &loaded.config;
    let metrics = &*outside.metrics;
    let mut wrong = Vec::new();
    let mut upstreams = Vec::new();
    for config in &config.upstreams {
        match upstream(config, metrics, None) {
            Ok(built) => upstreams.push(built),
            Err(error) => wrong.push(error),
        }
    }
    // Routes refer to upstreams by their places among all of them.
    if upstreams.len() < config.upstreams.len() {
        return wrong;
    }
    let mut making = Making {
        upstreams: &upstreams,
        metrics,
        services,
        shared: SharedParts::default(),
        before: None,
    };
    let routes = config.routes.iter();
    wrong.extend(routes.filter_map(|route| making.route(route, None).err()));
    let lost = listeners(config).and_then(|listeners| pages::check(config, &listeners));
    wrong.extend(lost.err());
    wrong
}

fn tell(error: &CompileError, unread: &[Span], report: &mut Report) {
    const CODE: &str = "config.cannot-build";
    let span = error.span();
    let mut message = error.to_string();
    if let CompileError::Plugin { error, .. } = error
        && error.span.is_some()
    {
        // What many routes name is said once, and not of each of them.
        message = error.to_string();
    }
    match span {
        Some(span) if unread.contains(span) => {
            report
                .warn(span.clone(), "config.secret-unread", message)
                .help("`gateway run` needs it");
        }
        Some(span) => {
            report.error(span.clone(), CODE, message);
        }
        None => {
            report.error_nowhere(CODE, message);
        }
    }
}

/// Files that remember which secrets they could not read.
struct Watched {
    inner: Arc<dyn Files>,
    unread: Mutex<Vec<Span>>,
}

impl Watched {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Watched {
    fn read(&self, file: &At<FileRef>, max: u64) -> Result<Vec<u8>, String> {
        self.inner.read(file, max)
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        self.inner
            .secret(secret)
            .inspect_err(|_| self.lock().push(secret.span()))
    }
}
