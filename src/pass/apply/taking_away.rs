//! Rules, roles and parts of roles' policies that are to go, taken away beside a pass: nothing is made or changed, nothing
//! is put on record, and nothing is read but what holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecr_permissions_core::pass::cache_rules::Found;
use ecr_permissions_core::pass::claims::Action;
use ecr_permissions_core::pass::compile::Desired;
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::ledger::REGISTRY_POLICY;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::orphans::Said;
use ecr_permissions_core::pass::standing::Known;
use ecr_permissions_core::reason::Because;

use super::Writing;
use crate::aws::session::Proven;
use crate::pass::observe::roles::{self, Roles};
use crate::pass::observe::rules::Rules;
use crate::runtime::operator::Operator;

/// So long calls are begun.
const WITHIN: Duration = Duration::from_secs(10);

/// Takes away what of these objects is to go.
pub(in crate::pass) async fn take_away(
    gathered: &mut Gathered,
    desired: Desired,
    due: &BTreeSet<ObjectId>,
    proven: &Proven,
    memory: &mut Memory,
    op: &Operator,
) -> Result<(), Because> {
    let proof = proven.prove_registry().await?;
    // A role goes only when no rule pulls by it, so the rules are read for its sake too.
    let stored = proven.cache_rules().await.map_err(|error| proven.session().because(&error))?;
    let record = gathered.ledger.document(REGISTRY_POLICY);
    let known = Known::new(&op.installation, gathered.key.partition(), record, &desired);
    let seen = op.with_index(|index| index.changes());
    let ends = op.clock.now() + WITHIN;
    let mut writing = Writing::new(gathered, desired, known, (proven, proof), memory, op, seen, ends);
    let rules = Rules { stored, found: Found { secrets: BTreeMap::new(), roles: None }, repositories: None };
    let said = Said::default();
    let rules = writing.act_where(rules, &said, |id, act| due.contains(id) && act.takes_away()).await;
    writing.note_passed_roles(Some(&rules));
    rules?;
    let having = writing.desired.contributions.iter().filter(|c| due.contains(&c.id));
    let names: BTreeSet<_> = having.filter_map(|c| Some(c.role.as_ref()?.has.as_ref()?.name.clone())).collect();
    if !names.is_empty() {
        let read_at = writing.op.clock.now();
        let stored = roles::read(names, || false, proven).await;
        let roles = Roles { stored, answered_before: BTreeSet::new(), read_at };
        writing.act_where(roles, &said, |id, act| due.contains(id) && act.takes_away()).await?;
    }
    Ok(())
}
