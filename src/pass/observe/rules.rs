//! What AWS has for cache rules: the rules, and the secrets they name.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::pass::answers::{Answers, Asker, GoodFor};
use ecr_permissions_core::pass::cache_rules::{Found, Repositories, Stored};
use ecr_permissions_core::pass::compile::{Contribution, Desired};
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::roles::Stance;
use ecr_permissions_core::pass::turns;
use ecr_permissions_core::reason::Because;
use futures::StreamExt;

use super::Asking;
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
pub(super) async fn rules(
    desired: &Desired,
    proven: &Proven,
    answered: &mut Answers<String, Result<String, Because>>,
    good_for: GoodFor,
    asking: Asking<'_>,
) -> Option<Result<Rules, Because>> {
    let concerned = |c: &Contribution| {
        c.rule.is_some()
            || c.role.as_ref().is_some_and(|r| matches!(r.stance, Stance::Leaves | Stance::Orphaned | Stance::Retained))
    };
    if !desired.contributions.iter().any(concerned) {
        return None;
    }
    let mut askers = BTreeMap::<String, BTreeSet<&ObjectId>>::new();
    for claim in desired.contributions.iter().filter_map(|c| c.rule.as_ref()) {
        if let Some(name) = claim.secret() {
            askers.entry(name.to_owned()).or_default().insert(&claim.id);
        }
    }
    let askers = turns::by_namespace(askers, |(_, ids)| ids.first().map_or("", |id| id.namespace.as_str()));
    let askers = askers.into_iter().map(|(name, ids)| (name, Asker::of(asking.gathered, ids)));
    let (mut secrets, mut to_ask) = (BTreeMap::new(), Vec::new());
    for (name, asker) in askers {
        match answered.get(&name, &asker, asking.now) {
            Some(answer) => drop(secrets.insert(name, answer.clone())),
            None => to_ask.push((name, asker)),
        }
    }
    let looking = to_ask.into_iter().map(|(name, asker)| async move {
        if asking.is_over() {
            return None;
        }
        let arn = proven.secret_arn(&name).await;
        Some((name, asker, arn))
    });
    let looking: Vec<_> = looking.collect();
    let looked_up = futures::stream::iter(looking).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let (stored, looked_up) = futures::join!(proven.cache_rules(), looked_up);
    for (name, asker, arn) in looked_up.into_iter().flatten() {
        answered.note(name.clone(), asker, arn.clone(), asking.now, good_for.result(&arn));
        secrets.insert(name, arn);
    }
    Some(match stored {
        Ok(stored) => Ok(Rules { stored, found: Found { secrets, roles: None }, repositories: None }),
        Err(error) => Err(proven.session().because(&error)),
    })
}
