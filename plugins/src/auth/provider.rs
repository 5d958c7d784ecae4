//! The providers: one enum, no pointer to a trait on the way of a request. One object for all routes that name it; it
//! outlives reloads that do not change it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value as Json};

use super::api_key::ApiKey;
use super::basic::Basic;
use super::challenge::Challenges;
use super::client_certificate::ClientCertificate;
use super::config::KindConfig;
use super::credential::{Credential, Presented, Sources};
use super::forward::Forward;
use super::introspection::Introspection;
use super::jwt::Jwt;
use super::oidc::Oidc;
use super::tally::Tally;
use super::verdict::Verdict;
use crate::contract::build::Pool;
use crate::contract::consumers::Directory;
use crate::contract::prelude::*;
use crate::contract::services::{Services, Store};

/// Most bytes of a file with keys.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All providers of a snapshot.
pub type Providers = Pool<Definition, Provider>;

/// What makes a provider the same as before a reload: its table, what the files and secrets that it names hold, and its
/// store.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    kind: KindConfig,
    /// SHA-256 of each.
    named: Vec<u8>,
    store: Option<InUse>,
}

/// A store: another one of the same name is not the same.
#[derive(Clone)]
struct InUse(Arc<dyn Store>);

impl PartialEq for InUse {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InUse")
    }
}

/// A provider.
pub struct Provider {
    /// `NAME` of `[auth.NAME]`; for a table on a route, the route and its place there.
    pub name: Arc<str>,
    kind: Kind,
    tally: Tally,
}

enum Kind {
    Jwt(Arc<Jwt>),
    ApiKey(ApiKey),
    Basic(Box<Basic>),
    Introspection(Introspection),
    Forward(Forward),
    ClientCertificate(ClientCertificate),
    Oidc(Arc<Oidc>),
}

/// Whether a credential is for a provider, where several read the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mine {
    /// It says that it is another's.
    No,
    /// It does not say.
    Perhaps,
    /// It says so.
    Yes,
}

impl Definition {
    /// Reads what the table names.
    pub(super) fn new(kind: &KindConfig, services: &Services) -> Result<Self, CompileError> {
        let mut named = Vec::new();
        for file in kind.files() {
            let read = services.files.read(&file, FILE_BYTES_MAX);
            let bytes = read.map_err(|error| CompileError::from_error(&error).at(file.span()))?;
            named.extend_from_slice(digest(&SHA256, &bytes).as_ref());
        }
        for secret in kind.secrets() {
            let read = services.files.secret(&secret);
            let text = read.map_err(|error| CompileError::from_error(&error).at(secret.span()))?;
            named.extend_from_slice(digest(&SHA256, text.expose().as_bytes()).as_ref());
        }
        let store = kind.store();
        let store = store.and_then(|name| services.stores.get(name.as_str()).cloned());
        Ok(Self {
            kind: kind.clone(),
            named,
            store: store.map(InUse),
        })
    }

    pub(super) fn compile(
        &self,
        name: &str,
        services: &Services,
    ) -> Result<Provider, CompileError> {
        let name: Arc<str> = name.into();
        Ok(Provider {
            kind: Kind::compile(&self.kind, &name, services)?,
            tally: Tally::new(&*services.meter, &name),
            name,
        })
    }
}

impl Kind {
    fn compile(
        config: &KindConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        Ok(match config {
            KindConfig::Jwt(config) => Self::Jwt(Arc::new(Jwt::compile(config, name, services)?)),
            KindConfig::ApiKey(config) => Self::ApiKey(ApiKey::compile(config, name)),
            KindConfig::Basic(config) => {
                Self::Basic(Box::new(Basic::compile(config, name, services)?))
            }
            KindConfig::Introspection(config) => {
                Self::Introspection(Introspection::compile(config, name, services)?)
            }
            KindConfig::Forward(config) => Self::Forward(Forward::compile(config, name, services)?),
            KindConfig::ClientCertificate(config) => {
                Self::ClientCertificate(ClientCertificate::compile(config, name))
            }
            KindConfig::Oidc(config) => {
                Self::Oidc(Arc::new(Oidc::compile(config, name, services)?))
            }
        })
    }
}

impl Provider {
    /// What the request shows of its kind.
    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        match &self.kind {
            Kind::Jwt(kind) => kind.presented(request),
            Kind::Introspection(kind) => kind.presented(request),
            Kind::Forward(kind) => kind.presented(request),
            Kind::Oidc(kind) => kind.presented(request),
            Kind::ApiKey(_) | Kind::Basic(_) | Kind::ClientCertificate(_) => {
                self.sources().read(request)
            }
        }
    }

    /// The origin under which browsers know us, where its table says it.
    pub(super) fn origin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Oidc(kind) => Some(kind.origin()),
            Kind::Jwt(_)
            | Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => None,
        }
    }

    /// Where its credentials stand.
    pub(super) fn sources(&self) -> &Sources {
        match &self.kind {
            Kind::Jwt(kind) => kind.sources(),
            Kind::ApiKey(kind) => kind.sources(),
            Kind::Basic(kind) => kind.sources(),
            Kind::Introspection(kind) => kind.sources(),
            Kind::Forward(kind) => kind.sources(),
            Kind::ClientCertificate(kind) => kind.sources(),
            Kind::Oidc(kind) => kind.sources(),
        }
    }

    /// Whether a credential that others could take, too, is for it.
    pub(super) fn claims_it(&self, credential: &Credential<'_>) -> Mine {
        match &self.kind {
            Kind::Jwt(kind) => kind.claims_it(credential),
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_)
            | Kind::Oidc(_) => Mine::Perhaps,
        }
    }

    /// Judges a credential. What waits for others has a future of its own: most requests need not carry it along.
    pub(super) async fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        let verdict = match &self.kind {
            Kind::Jwt(kind) => kind.judge(credential, request, consumers).await,
            Kind::ApiKey(kind) => kind.judge(credential, request, consumers),
            Kind::Basic(kind) => Box::pin(kind.judge(credential, request, consumers)).await,
            Kind::Introspection(kind) => Box::pin(kind.judge(credential, request, consumers)).await,
            Kind::Forward(kind) => Box::pin(kind.judge(credential, request, consumers)).await,
            Kind::ClientCertificate(kind) => kind.judge(request, consumers),
            Kind::Oidc(kind) => Box::pin(kind.judge(credential, request, consumers)).await,
        };
        self.tally.add(&verdict);
        verdict
    }

    /// Counts what was decided without asking it.
    pub(super) fn count(&self, verdict: &Verdict) {
        self.tally.add(verdict);
    }

    /// Somebody whose claims `explain` declares; `None` for a kind that knows no claims.
    pub(super) fn declared(
        &self,
        claims: &Map<String, Json>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Option<Verdict> {
        match &self.kind {
            Kind::Jwt(kind) => Some(kind.declared(claims, request, consumers)),
            Kind::Oidc(kind) => Some(kind.declared(claims, request, consumers)),
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => None,
        }
    }

    /// The answer to a request for one of its own pages: callback, logout.
    pub(super) async fn visit(&self, request: &RequestView<'_>) -> Option<Box<Reply>> {
        match &self.kind {
            Kind::Oidc(kind) if kind.has_page(request) => Box::pin(kind.visit(request)).await,
            Kind::Oidc(_)
            | Kind::Jwt(_)
            | Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => None,
        }
    }

    /// What happens instead of a 401 where nothing was shown: the way to a login.
    pub(super) fn absent(&self, request: &RequestView<'_>) -> Option<Box<Reply>> {
        match &self.kind {
            Kind::Oidc(kind) => kind.absent(request),
            Kind::Jwt(_)
            | Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => None,
        }
    }

    pub(super) fn challenges(&self) -> &Challenges {
        match &self.kind {
            Kind::Jwt(kind) => kind.challenges(),
            Kind::ApiKey(kind) => kind.challenges(),
            Kind::Basic(kind) => kind.challenges(),
            Kind::Introspection(kind) => kind.challenges(),
            Kind::Forward(kind) => kind.challenges(),
            Kind::ClientCertificate(kind) => kind.challenges(),
            Kind::Oidc(kind) => kind.challenges(),
        }
    }

    /// Waits for what it should know before requests come: keys, addresses.
    pub(super) async fn prepare(&self, services: &Services) {
        match &self.kind {
            Kind::Jwt(kind) => kind.prepare(services).await,
            Kind::Oidc(kind) => kind.prepare(services).await,
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => {}
        }
    }

    /// Starts what runs beside requests.
    pub(super) fn activate(&self, services: &Services) {
        match &self.kind {
            Kind::Jwt(kind) => kind.activate(services),
            Kind::Oidc(kind) => kind.activate(services),
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => {}
        }
    }

    /// Why it cannot judge yet.
    pub(super) fn unready(&self) -> Option<String> {
        match &self.kind {
            Kind::Jwt(kind) => kind.unready(),
            Kind::Oidc(kind) => kind.unready(),
            Kind::ApiKey(_)
            | Kind::Basic(_)
            | Kind::Introspection(_)
            | Kind::Forward(_)
            | Kind::ClientCertificate(_) => None,
        }
    }
}
