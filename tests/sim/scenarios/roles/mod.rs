//! Roles by which a cache pulls from other accounts: made, granted to and removed, in two registries at once
//! (behaviours 26–30).

mod adopting;
mod changing;
mod crash;
mod external;
mod leaving;
mod making;
mod orders;
mod reach;

use serde_json::Value;

use crate::lab::objects::{CACHES, ROLES, registry, with};
use crate::lab::{A, B, Lab, REGION};
use aws_sim::Scope;
use serde_json::json;

/// Registry `default` of account A with the cache, Registry `upstream` of account B under scope V2, two teams.
fn two_registries(lab: &Lab) {
    lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
    lab.two_teams();
    lab.apply(&upstream());
}

fn upstream() -> Value {
    registry("upstream", B)
}

/// The one role that the operator made in account A.
fn our_role(lab: &Lab) -> Option<aws_sim::Role> {
    lab.aws.world(|world| {
        let names = world.role_names(A);
        let ours = names.into_iter().find(|name| name.starts_with("Ecp"))?;
        world.role(A, &ours)
    })
}

fn is_all_ready(lab: &Lab) -> bool {
    [ROLES, CACHES].iter().all(|plural| lab.is_ready(plural, "team-a", "mirror"))
}

/// The role and the rule, both named `mirror`, of team-a.
async fn until_all_ready(lab: &mut Lab) {
    lab.until("role and rule are Ready", is_all_ready).await;
}
