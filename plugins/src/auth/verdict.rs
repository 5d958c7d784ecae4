//! What a provider says of a credential.

use std::sync::Arc;

use crate::contract::identity::Identity;
use crate::contract::prelude::*;

/// A provider's judgement.
pub enum Verdict {
    /// Somebody.
    Accepted(Accepted),
    /// Nobody; the reason is for metrics and `explain`, the client never learns it.
    Rejected(Reason),
    /// It cannot be known at the moment.
    Unavailable(OnError),
    /// Too many others are being judged.
    Busy,
    /// Another service has answered the client's request itself; a refusal names its [`Refusal`].
    Answer(Box<Reply>),
}

/// Somebody, and what the request gains by it.
pub struct Accepted {
    /// Who.
    pub identity: Arc<Identity>,
    /// What only few kinds of credentials bring.
    pub extra: Option<Box<Extra>>,
}

/// What a provider adds to a request and its answer beside the identity.
#[derive(Debug, Default)]
pub struct Extra {
    /// Header fields for the upstream.
    pub upstream: Vec<(HeaderName, HeaderValue)>,
    /// `Set-Cookie` for the client.
    pub set_cookie: Vec<HeaderValue>,
}

/// What happens when a provider cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// 503.
    #[default]
    Deny,
    /// The request passes as that of nobody.
    Allow,
}

impl From<Arc<Identity>> for Accepted {
    fn from(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            extra: None,
        }
    }
}

impl From<Identity> for Verdict {
    fn from(identity: Identity) -> Self {
        Self::Accepted(Arc::new(identity).into())
    }
}

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $label:literal, )+) => {
        /// Why a credential is rejected: a closed list, because metrics have one series for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $( $(#[doc = $doc])+ $name, )+
        }

        impl Reason {
            /// All of them, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The label of metrics, the word of `explain`.
            pub const fn label(self) -> &'static str {
                match self {
                    $( Self::$name => $label, )+
                }
            }
        }
    };
}

reasons! {
    /// It is not written as one of its kind.
    Malformed = "malformed",
    /// It is longer than allowed.
    TooLarge = "too-large",
    /// `Authorization` has a scheme that no provider of the route takes.
    Scheme = "scheme",
    /// Nobody has it.
    Unknown = "unknown",
    /// It is somebody's, but the proof is wrong.
    Proof = "proof",
    /// Its signature does not fit.
    Signature = "signature",
    /// It is signed in a way that is not allowed.
    Algorithm = "algorithm",
    /// Nobody knows the key that it names.
    Key = "key",
    /// It says that it is of another type.
    Type = "type",
    /// It demands something that is not understood.
    Critical = "critical",
    /// Another issued it.
    Issuer = "issuer",
    /// It is for others.
    Audience = "audience",
    /// Its time is over.
    Expired = "expired",
    /// Its time has not come.
    NotYet = "not-yet",
    /// It was issued too long ago.
    TooOld = "too-old",
    /// It lacks a claim, or has one of the wrong type.
    Claim = "claim",
    /// Its issuer has withdrawn it.
    Inactive = "inactive",
    /// It belongs to no consumer, and must.
    Consumer = "consumer",
    /// The session is over, unknown or cannot be read.
    Session = "session",
    /// A page of another origin sent it.
    Origin = "origin",
    /// The service that was asked says no.
    Refused = "refused",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_label_and_a_place_of_its_own() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
