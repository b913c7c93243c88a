//! Which roles an account is to have (behaviours 26 to 30 and 35).

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::super::claims::{Action, Latitude};
use super::super::roles::{Act, Claim, Found, Marks, Role, RolesPlan, Stance, Stored, plan_roles};
use super::*;
use crate::api::{Adoption, LedgerPulls, LedgerRole, OwnershipState};
use crate::names::Partition;
use crate::reason::{Because, Reason};

mod everything;
mod leaving;
mod whose;

const BOUNDARY: &str = "arn:aws:iam::111111111111:policy/ecr-operator-ptc-boundary";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pullthroughcache.ecr.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:PutImage"],"Resource":"*"}]}"#;
/// The same in other words.
const SAME_TRUST: &str = r#"{"Statement":{"Action":["sts:AssumeRole"],"Principal":{"Service":["pullthroughcache.ecr.amazonaws.com"]},"Effect":"Allow"},"Version":"2012-10-17"}"#;
const SAME_POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Resource":["*"],"Effect":"Allow","Action":["ecr:PutImage","ecr:batchgetimage"]}}"#;

fn owner(name: &str) -> ObjectId {
    ObjectId { kind: Kind::CrossAccountPtcRole, namespace: "team-a".to_owned(), name: name.to_owned() }
}

/// The role that object `of` in `team-a` asks for.
fn role(name: &str, of: &str) -> Role {
    Role {
        name: name.to_owned(),
        path: us().role_path(),
        arn: key().role_arn(&us().role_path(), name),
        trust: TRUST.to_owned(),
        policy: POLICY.to_owned(),
        boundary: BOUNDARY.to_owned(),
        tags: us().role_tags("team-a", of),
        pulls: LedgerPulls::default(),
    }
}

/// The role as `CreateRole` and `PutRolePolicy` leave it.
fn made(role: &Role) -> Stored {
    Stored {
        name: role.name.clone(),
        arn: role.arn.clone(),
        id: format!("AROA{}", role.name),
        trust: role.trust.clone(),
        boundary: Some(role.boundary.clone()),
        tags: role.tags.clone(),
        policy: Some(role.policy.clone()),
        ..Stored::default()
    }
}

fn untagged(role: &Role) -> Stored {
    Stored { tags: BTreeMap::from([("cost-centre".to_owned(), "42".to_owned())]), ..made(role) }
}

fn owned(role: &Role) -> LedgerRole {
    LedgerRole {
        name: role.name.clone(),
        arn: role.arn.clone(),
        id: Some(format!("AROA{}", role.name)),
        adopted: None,
        state: OwnershipState::Owned,
        pulls: role.pulls.clone(),
    }
}

fn claimed(role: &Role) -> LedgerRole {
    LedgerRole { id: None, state: OwnershipState::Claimed, ..owned(role) }
}

/// A newcomer.
fn wanting(name: &str, created: i64, role: &Role) -> Claim<Role> {
    Claim {
        id: owner(name),
        created: Some(Timestamp::from_second(created).unwrap()),
        lost: None,
        has: None,
        claimed_at: None,
        stance: Stance::Wants(role.clone()),
        may: Latitude::default(),
        owns_adopted: false,
        outlawed: None,
        withdrawn: BTreeSet::new(),
    }
}

fn owning(name: &str, created: i64, role: &Role) -> Claim<Role> {
    Claim { has: Some(owned(role)), ..wanting(name, created, role) }
}

fn adopting(adoption: Adoption, claim: Claim<Role>) -> Claim<Role> {
    Claim { may: Latitude { adoption, ..Latitude::default() }, ..claim }
}

fn because() -> Because {
    Because::new(Reason::NotAllowed, "No rule covers it.")
}

/// An account: IAM finds a role by its name in any letter case.
fn looked_up(claims: &[Claim<Role>], account: &[Stored]) -> Found {
    let wanted = claims.iter().filter_map(|claim| match &claim.stance {
        Stance::Wants(role) | Stance::Holds(Some(role), _) => Some(role.name.clone()),
        _ => None,
    });
    let names = wanted.chain(claims.iter().filter_map(|claim| Some(claim.has.as_ref()?.name.clone())));
    let find = |name: &str| account.iter().find(|role| role.name.eq_ignore_ascii_case(name)).cloned();
    names.map(|name| (name.clone(), Ok(find(&name)))).collect()
}

fn plan_taking_over(
    take_over: &BTreeSet<InstallationId>,
    claims: &[Claim<Role>],
    found: &Found,
    in_use: &BTreeMap<ObjectId, Because>,
) -> RolesPlan {
    let us = us();
    let marks = Marks { installation: &us, take_over, partition: Partition::AWS, boundary: Some(BOUNDARY) };
    plan_roles(claims, found, in_use, &marks)
}

fn plan(claims: &[Claim<Role>], account: &[Stored]) -> RolesPlan {
    plan_taking_over(&BTreeSet::new(), claims, &looked_up(claims, account), &BTreeMap::new())
}

fn plan_one(claim: &Claim<Role>, account: &[Stored]) -> RolesPlan {
    plan(std::slice::from_ref(claim), account)
}

/// The only act there is.
fn act(plan: &RolesPlan) -> Option<Act> {
    assert!(plan.acts.len() <= 1, "{:?}", plan.acts);
    plan.acts.values().next().cloned()
}

fn reasons(plan: &RolesPlan) -> Vec<(&str, Reason)> {
    plan.verdicts.iter().map(|(id, because)| (id.name.as_str(), because.reason)).collect()
}

fn message(plan: &RolesPlan) -> &str {
    plan.verdicts.values().next().map_or("", |because| because.message.as_str())
}

fn record(plan: &RolesPlan) -> Option<&LedgerRole> {
    plan.has.values().next()
}

/// Does what the plan says to the account, as IAM would.
fn apply(plan: &RolesPlan, account: &mut Vec<Stored>) {
    for act in plan.acts.values() {
        let at = account.iter().position(|role| role.name.eq_ignore_ascii_case(act.name()));
        match (act, at) {
            (Act::Create(role), None) => account.push(made(role)),
            (Act::Change { trust, policy, tags, .. }, Some(at)) => {
                let stored = &mut account[at];
                stored.trust = trust.clone().unwrap_or_else(|| stored.trust.clone());
                stored.policy = policy.clone().or_else(|| stored.policy.clone());
                stored.tags.extend(tags.clone());
            }
            (Act::Delete { has_policy, .. }, Some(at)) => {
                let stored = account.remove(at);
                assert_eq!(stored.policy.is_some(), *has_policy);
                assert!(stored.other_policies.is_empty() && stored.attached.is_empty(), "DeleteConflict");
            }
            (Act::Release { tags, .. }, Some(at)) => account[at].tags.retain(|key, _| !tags.contains(key)),
            (act, at) => panic!("{act:?} on {at:?}"),
        }
    }
}

/// The claim after a pass: what was recorded before the acts, then what was read after them.
fn after(claim: &Claim<Role>, plan: &RolesPlan) -> Claim<Role> {
    let before = plan.on_record(|_| claim.has.as_ref());
    Claim { has: before.get(&claim.id).cloned(), ..claim.clone() }
}
