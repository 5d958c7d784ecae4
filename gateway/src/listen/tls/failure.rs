//! Why a handshake came to nothing, in a closed list: what metrics count and the log says.

use std::io;

use rustls::{CertificateError, Error, PeerIncompatible};

/// Why there is no encrypted connection.
#[derive(Debug)]
pub struct HandshakeFailure {
    /// The kind.
    pub kind: FailureKind,
    /// More about it, for the log.
    pub detail: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $label:literal),+ $(,)?) => {
        /// The kinds of failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FailureKind { $($(#[$doc])* $kind),+ }

        impl FailureKind {
            /// The kind's name in logs and metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$kind => $label),+ }
            }
        }
    };
}

kinds! {
    /// What came first was no TLS.
    NotTls: "not-tls",
    /// It took longer than it may.
    Late: "timeout",
    /// The client left.
    Gone: "closed",
    /// No version that both speak.
    Version: "no-shared-version",
    /// No cipher suite, group or signature that both speak.
    Parameters: "no-shared-parameters",
    /// No protocol that both speak.
    Protocol: "no-shared-protocol",
    /// The client must show a certificate and has none.
    CertificateMissing: "client-certificate-missing",
    /// Its certificate has ended.
    CertificateExpired: "client-certificate-expired",
    /// Its certificate has not begun.
    CertificateEarly: "client-certificate-not-yet-valid",
    /// Nobody we know has signed its certificate.
    CertificateUnknown: "client-certificate-unknown-issuer",
    /// Its certificate is bad in another way.
    CertificateBad: "client-certificate-invalid",
    /// The client has refused, our certificate most likely.
    Refused: "refused-by-client",
    /// It broke the rules of TLS.
    Broken: "protocol-error",
}

impl HandshakeFailure {
    pub(super) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// Whether an operator wants to know: somebody came who should perhaps have been let in.
    pub fn matters(&self) -> bool {
        !matches!(
            self.kind,
            FailureKind::NotTls | FailureKind::Late | FailureKind::Gone | FailureKind::Broken
        )
    }
}

impl From<io::Error> for HandshakeFailure {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let kind = match inner {
            Some(error) => kind(error),
            None => FailureKind::Gone,
        };
        let detail = inner.map_or_else(|| error.to_string(), Error::to_string);
        Self { kind, detail }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of all errors of rustls is open"
)]
fn kind(error: &Error) -> FailureKind {
    match error {
        Error::NoCertificatesPresented => FailureKind::CertificateMissing,
        Error::InvalidCertificate(error) => certificate(error),
        Error::PeerIncompatible(error) => incompatible(error),
        Error::NoApplicationProtocol => FailureKind::Protocol,
        Error::AlertReceived(_) => FailureKind::Refused,
        _ => FailureKind::Broken,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of all errors of rustls is open"
)]
fn certificate(error: &CertificateError) -> FailureKind {
    use CertificateError as Kind;
    match error {
        Kind::Expired | Kind::ExpiredContext { .. } => FailureKind::CertificateExpired,
        Kind::NotValidYet | Kind::NotValidYetContext { .. } => FailureKind::CertificateEarly,
        Kind::UnknownIssuer | Kind::BadSignature => FailureKind::CertificateUnknown,
        _ => FailureKind::CertificateBad,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of all errors of rustls is open"
)]
fn incompatible(error: &PeerIncompatible) -> FailureKind {
    use PeerIncompatible as Kind;
    match error {
        Kind::ServerDoesNotSupportTls12Or13
        | Kind::ServerTlsVersionIsDisabledByOurConfig
        | Kind::SupportedVersionsExtensionRequired
        | Kind::Tls12NotOffered
        | Kind::Tls12NotOfferedOrEnabled => FailureKind::Version,
        _ => FailureKind::Parameters,
    }
}
