//! Routes against each other: what the router refuses, said with both places.

use super::Context;
use super::route::Draft;

pub(super) fn check(_drafts: &[Draft], _context: &mut Context<'_>) {}
