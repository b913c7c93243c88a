//! What AWS has for roles: each one that an object claims, with its policies.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::kinds::PtcRole;
use ecr_permissions_core::pass::answers::{Answers, Asker};
use ecr_permissions_core::pass::compile::Desired;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::queue::Now;
use ecr_permissions_core::pass::roles::{Claim, Place, Stance, Stored};
use ecr_permissions_core::pass::turns;
use ecr_permissions_core::reason::Because;
use futures::StreamExt;

use super::Asking;
use crate::aws::session::Proven;

/// Roles looked up at once, each by four calls: those that are begun are waited for.
const AT_ONCE: usize = 5;

/// Each role by the name it was asked for.
#[derive(Debug)]
pub(in crate::pass) struct Roles {
    pub(in crate::pass) stored: BTreeMap<String, Result<Option<Stored>, Because>>,
    /// Those that AWS was not asked for in this pass: before something is done to one of them it is.
    pub(in crate::pass) answered_before: BTreeSet<String>,
    /// When the others were asked for.
    pub(in crate::pass) read_at: Now,
}

/// The roles; nothing, if no object has to do with any.
pub(super) async fn roles(
    desired: &Desired,
    place: Place<'_>,
    proven: &Proven,
    answered: &mut Answers<String, Stored>,
    asking: Asking<'_>,
) -> Option<Roles> {
    let claims: Vec<_> = desired.contributions.iter().filter_map(|c| c.role.as_ref()).collect();
    if claims.is_empty() {
        return None;
    }
    let (mut stored, mut to_read) = (BTreeMap::new(), Vec::new());
    let askers =
        turns::by_namespace(askers(&claims, place), |(_, ids)| ids.first().map_or("", |id| id.namespace.as_str()));
    for (name, ids) in askers {
        match answered.get(&name, &Asker::of(asking.gathered, ids), asking.now) {
            Some(role) => drop(stored.insert(name, Ok(Some(role.clone())))),
            None => to_read.push(name),
        }
    }
    let answered_before = stored.keys().cloned().collect();
    stored.extend(read(to_read, || asking.is_over(), proven).await);
    Some(Roles { stored, answered_before, read_at: asking.now })
}

/// The names that claims speak of, each with whose claims do.
pub(in crate::pass) fn askers<'c>(
    claims: &[&'c Claim<PtcRole>],
    place: Place<'_>,
) -> BTreeMap<String, BTreeSet<&'c ObjectId>> {
    let mut askers = BTreeMap::<_, BTreeSet<_>>::new();
    for claim in claims {
        for name in names(claim, place) {
            askers.entry(name).or_default().insert(&claim.id);
        }
    }
    askers
}

/// The names a claim speaks of: that of what it has, and that of what it would have.
fn names(claim: &Claim<PtcRole>, place: Place<'_>) -> Vec<String> {
    let wanted = match &claim.stance {
        Stance::Wants(role) | Stance::Holds(Some(role), _) => place.role(&claim.id, role).ok(),
        _ => None,
    };
    wanted.map(|role| role.name).into_iter().chain(claim.has.as_ref().map(|has| has.name.clone())).collect()
}

/// These roles, side by side, as long as there is time.
pub(in crate::pass) async fn read(
    names: impl IntoIterator<Item = String>,
    is_over: impl Fn() -> bool,
    proven: &Proven,
) -> BTreeMap<String, Result<Option<Stored>, Because>> {
    let is_over = &is_over;
    let reading = names.into_iter().map(|name| async move {
        if is_over() {
            return None;
        }
        let role = proven.role(&name).await.map_err(|error| proven.session().because(&error));
        Some((name, role))
    });
    let reading: Vec<_> = reading.collect();
    futures::stream::iter(reading).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}
