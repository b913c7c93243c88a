//! What AWS has for roles: each one that an object claims, with its policies.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::pass::compile::Desired;
use ecr_permissions_core::pass::roles::{Claim, Place, Stance, Stored};
use ecr_permissions_core::reason::Because;
use futures::StreamExt;

use crate::aws::session::Proven;

/// Roles looked up at once.
const AT_ONCE: usize = 10;

/// Each role by the name it was asked for.
#[derive(Debug)]
pub(in crate::pass) struct Roles {
    pub(in crate::pass) stored: BTreeMap<String, Result<Option<Stored>, Because>>,
}

/// The roles; nothing, if no object has to do with any.
pub(super) async fn roles(desired: &Desired, place: Place<'_>, proven: &Proven) -> Option<Roles> {
    let claims: Vec<_> = desired.contributions.iter().filter_map(|c| c.role.as_ref()).collect();
    if claims.is_empty() {
        return None;
    }
    let names = claims.into_iter().flat_map(|claim| names(claim, place)).collect();
    Some(Roles { stored: read(names, proven).await })
}

/// The names a claim speaks of: that of what it has, and that of what it would have.
fn names(claim: &Claim<ecr_permissions_core::kinds::PtcRole>, place: Place<'_>) -> Vec<String> {
    let wanted = match &claim.stance {
        Stance::Wants(role) | Stance::Holds(Some(role), _) => place.role(&claim.id, role).ok(),
        _ => None,
    };
    wanted.map(|role| role.name).into_iter().chain(claim.has.as_ref().map(|has| has.name.clone())).collect()
}

/// These roles, side by side.
pub(in crate::pass) async fn read(
    names: BTreeSet<String>,
    proven: &Proven,
) -> BTreeMap<String, Result<Option<Stored>, Because>> {
    let reading = names.into_iter().map(|name| async move {
        let role = proven.role(&name).await.map_err(|error| proven.session().because(&error));
        (name, role)
    });
    let reading: Vec<_> = reading.collect();
    futures::stream::iter(reading).buffer_unordered(AT_ONCE).collect().await
}
