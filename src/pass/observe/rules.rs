//! What AWS has for cache rules: the rules, and the secrets they name.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::pass::cache_rules::{Found, Repositories, Stored};
use ecr_permissions_core::pass::compile::{Contribution, Desired};
use ecr_permissions_core::pass::roles::Stance;
use ecr_permissions_core::reason::Because;
use futures::StreamExt;

use crate::aws::session::Proven;

/// Secrets looked up at once.
const AT_ONCE: usize = 10;

#[derive(Debug)]
pub(in crate::pass) struct Rules {
    pub(in crate::pass) stored: Vec<Stored>,
    pub(in crate::pass) found: Found,
    /// Only if somebody cannot be decided on without.
    pub(in crate::pass) repositories: Option<Repositories>,
}

/// The rules and what they name; nothing, if no object has to do with rules, and no role is to go that somebody's rule
/// may pull by.
pub(super) async fn rules(desired: &Desired, proven: &Proven) -> Option<Result<Rules, Because>> {
    let concerned = |c: &Contribution| {
        c.rule.is_some()
            || c.role.as_ref().is_some_and(|r| matches!(r.stance, Stance::Leaves | Stance::Orphaned | Stance::Retained))
    };
    if !desired.contributions.iter().any(concerned) {
        return None;
    }
    let claims = desired.contributions.iter().filter_map(|c| c.rule.as_ref());
    let names: BTreeSet<String> = claims.filter_map(|rule| rule.secret()).map(str::to_owned).collect();
    let looking = names.into_iter().map(|name| async move {
        let arn = proven.secret_arn(&name).await;
        (name, arn)
    });
    let looking: Vec<_> = looking.collect();
    let secrets = futures::stream::iter(looking).buffer_unordered(AT_ONCE).collect::<BTreeMap<_, _>>();
    let (stored, secrets) = futures::join!(proven.cache_rules(), secrets);
    Some(match stored {
        Ok(stored) => Ok(Rules { stored, found: Found { secrets, roles: None }, repositories: None }),
        Err(error) => Err(proven.session().because(&error)),
    })
}
