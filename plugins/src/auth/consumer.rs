//! From a consumer to the identity that the rest of the chain sees.

use std::sync::Arc;

use crate::contract::identity::{Consumer, Identity};

/// Somebody whose credential is a consumer's own.
pub(super) fn identity(provider: &Arc<str>, consumer: &Arc<Consumer>) -> Identity {
    let mut identity = Identity::new(provider.clone(), None, consumer.name.clone());
    adopt(&mut identity, consumer);
    identity
}

/// Makes a consumer's what is not said by the credential itself: the plan; groups are joined.
pub(super) fn adopt(identity: &mut Identity, consumer: &Arc<Consumer>) {
    if identity.plan.is_none() {
        identity.plan.clone_from(&consumer.plan);
    }
    for group in &consumer.groups {
        if !identity.groups.contains(group) {
            identity.groups.push(group.clone());
        }
    }
    identity.consumer = Some(consumer.clone());
}
