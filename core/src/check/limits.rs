//! Objects of files that are more than a Registry among them lets their namespaces have. What is in the cluster besides is not
//! known here, nor what others have in AWS: it can only leave less.

use std::collections::BTreeMap;

use super::{Object, World, as_fault, key_of};
use crate::api::{Registry, Scope};
use crate::consent::{Asked, consent};
use crate::kinds::{Fault, Wanted, review};
use crate::policy::Statement;
use crate::shares::{Holder, Others, Share, Shares};

/// What is to be said of which object, by its place among all; in the order of the files.
pub(super) fn beyond(objects: &[Object], world: &World) -> BTreeMap<usize, Fault> {
    let mut of_registries = BTreeMap::<&str, Shares<'_>>::new();
    let mut beyond = BTreeMap::new();
    for (at, object) in objects.iter().enumerate() {
        let Some(body) = object.body() else { continue };
        let Some((name, registry)) = world.registries.get_key_value(body.registry_name()) else { continue };
        let Some(key) = key_of(registry) else { continue };
        let Ok(wanted) = review(&body, &key, &world.references()) else { continue };
        let asked = Asked::of(&wanted, body.kind(), &key);
        let namespace = object.namespace();
        let Some(labels) = world.labels(registry, namespace) else { continue };
        let allow = &registry.spec.allow;
        let covers = |allow: &[_]| consent(allow, &key, body.kind(), namespace, &labels, &asked).is_ok();
        if !covers(allow) {
            continue;
        }
        let shares = of_registries.entry(name).or_insert_with(|| Shares::new(allow, Others::default()));
        let rule = shares.rule_that(|rule| covers(std::slice::from_ref(rule)));
        let statements = statements(registry, &wanted);
        let (rules, roles) = (usize::from(wanted.rule.is_some()), usize::from(wanted.role.is_some()));
        let wants = Share { statements: &statements, objects: 1, rules, roles };
        let holder = Holder { namespace, labels: Some(&labels), rule };
        if let Err(exceeded) = shares.ask(&holder, &Share::default(), &wants) {
            beyond.insert(at, as_fault(registry, &exceeded.because(), &body));
        }
    }
    beyond
}

/// What stands in the policy for sure: the scope may be V2 without the Registry's saying so.
fn statements(registry: &Registry, wanted: &Wanted) -> Vec<Statement> {
    let settings = registry.spec.registry_policy.as_ref();
    let is_v2 = settings.is_some_and(|settings| settings.scope == Some(Scope::V2));
    let under_v2 = wanted.under_v2.iter().filter(|_| is_v2);
    wanted.statements.iter().chain(under_v2).cloned().collect()
}
