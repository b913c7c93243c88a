//! What a person confirms of what belongs to nobody: it counts as carried out once that is gone, and for nothing that is lost
//! later (behaviour 41).

use std::time::Duration;

use aws_sim::{Fault, World};
use kube_sim::Kinds;
use serde_json::{Value, json};

use crate::lab::objects::{CACHES, POLICIES, REGISTRIES, cache, pull, with};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "444444444444";
const INTERVAL: Duration = Duration::from_secs(310);
const PRUNE: &str = "ecr-permissions.dev/prune";

fn orphaned(lab: &Lab) -> String {
    lab.message(REGISTRIES, "", "default", "Orphaned")
}

fn handled(lab: &Lab) -> Value {
    lab.kube.get(REGISTRIES, "", "default").unwrap()["status"]["lastHandledPrune"].clone()
}

fn confirm(lab: &Lab, token: &str) {
    lab.annotate(REGISTRIES, "", "default", PRUNE, token);
}

/// An object of team-a vanishes without a word; the token of what its namespace left.
async fn lose(lab: &mut Lab, plural: &str, name: &str) -> String {
    lab.kube.vanish(plural, "team-a", name).unwrap();
    lab.kube.relist(&Kinds::All);
    lab.until("it is reported", |lab| orphaned(lab).contains(&format!("team-a/{name}"))).await;
    lab.settle().await;
    lab.prune_token("default")
}

/// Grants under our Sids that nothing on record is of, beside one of an object that is there.
async fn unclaimed_grants(lab: &mut Lab) {
    lab.two_teams();
    lab.apply(&pull("team-a", "lost", "default", &[B], "team-a/*"));
    lab.apply(&pull("team-b", "stays", "default", &[C], "team-b/*"));
    lab.until_ready(&["team-a/lost", "team-b/stays"]).await;
    lab.stop();
    lab.kube.vanish(POLICIES, "team-a", "lost").unwrap();
    lab.lose_ledger("default");
    lab.start().await;
    lab.until("they are reported", |lab| orphaned(lab).contains("belong to no object")).await;
    lab.settle().await;
}

/// A token of grants that no object ever claimed waits as long as AWS refuses the write or does not show the policy.
#[test]
fn a_token_of_unclaimed_grants_is_handled_once_they_are_gone() {
    for operation in ["PutRegistryPolicy", "GetRegistryPolicy"] {
        run(1_500, async |lab| {
            unclaimed_grants(lab).await;
            let token = lab.prune_token("default");
            let denied = Fault::error(400, "AccessDeniedException", "sim").on(operation);
            lab.aws.world(|world| world.inject(denied));
            confirm(lab, &token);
            lab.pass(Duration::from_secs(60)).await;
            assert_eq!((lab.may_pull(B, "team-a/app"), handled(lab)), (true, Value::Null), "{operation}");
            lab.aws.world(World::clear_faults);
            lab.pass(INTERVAL).await;
            assert_eq!((lab.may_pull(B, "team-a/app"), handled(lab)), (false, json!(token)), "{operation}");
            assert!(orphaned(lab).is_empty() && lab.may_pull(C, "team-b/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// What a namespace loses while the same pass still searches for what AWS refuses was not spoken of: neither the rule nor
/// the grants of the second object go by the token of the first.
#[test]
fn what_is_lost_during_a_search_is_not_pruned_by_an_earlier_token() {
    run(1_501, async |lab| {
        lab.two_teams();
        let pullers = json!({"accountIds": [B]});
        for name in ["first", "second"] {
            lab.apply(&with(cache("team-a", name, "default", name), "/spec/pullers", &pullers));
        }
        lab.until_ready_of(CACHES, &["team-a/first", "team-a/second"]).await;
        lab.settle().await;
        let token = lose(lab, CACHES, "first").await;
        let puts = lab.aws_writes("PutRegistryPolicy");
        confirm(lab, &token);
        let ghost = json!([{"accountId": B, "name": "ghost"}]);
        for i in 0..4 {
            let refused = pull("team-b", &format!("refused-{i}"), "default", &[B], &format!("team-b/{i}/*"));
            lab.apply(&with(refused, "/spec/statements/0/principals/roles", &ghost));
        }
        lab.until("a search is under way", |lab| lab.aws_writes("PutRegistryPolicy") >= puts + 2).await;
        lab.kube.vanish(CACHES, "team-a", "second").unwrap();
        lab.kube.relist(&Kinds::All);
        lab.until("it is reported", |lab| orphaned(lab).contains("team-a/second")).await;
        lab.pass(INTERVAL).await;
        let prefixes = lab.aws.world(|world| world.cache_prefixes(A, REGION));
        assert_eq!(prefixes, ["second"], "{}", lab.describe());
        assert!(lab.statements(A).iter().any(|statement| statement.to_string().contains("repository/second/*")));
        assert!(!lab.statements(A).iter().any(|statement| statement.to_string().contains("repository/first/*")));
        assert_eq!(handled(lab), json!(token));
        assert_ne!(lab.prune_token("default"), token);
    });
}

/// What a namespace loses after a token was heard takes nothing of it back: the first goes as soon as AWS lets it, and only
/// then the token is done with.
#[test]
fn a_later_loss_takes_no_token_back() {
    run(1_502, async |lab| {
        lab.two_teams();
        for name in ["first", "second"] {
            lab.apply(&cache("team-a", name, "default", name));
        }
        lab.until_ready_of(CACHES, &["team-a/first", "team-a/second"]).await;
        let token = lose(lab, CACHES, "first").await;
        let denied = Fault::error(400, "AccessDeniedException", "sim").on("DeletePullThroughCacheRule");
        lab.aws.world(|world| world.inject(denied));
        confirm(lab, &token);
        lab.until("it was denied", |lab| lab.aws_writes("DeletePullThroughCacheRule") > 0).await;
        lab.kube.vanish(CACHES, "team-a", "second").unwrap();
        lab.kube.relist(&Kinds::All);
        lab.until("both are reported", |lab| orphaned(lab).contains("team-a/second")).await;
        lab.pass(INTERVAL).await;
        assert_eq!(handled(lab), Value::Null, "nothing of it is done");
        lab.aws.world(World::clear_faults);
        lab.pass(INTERVAL + INTERVAL).await;
        assert_eq!(lab.aws.world(|world| world.cache_prefixes(A, REGION)), ["second"]);
        assert_eq!(handled(lab), json!(token));
        lab.assert_at_rest().await;
        let later = lab.prune_token("default");
        confirm(lab, &later);
        lab.until("the second goes by its own", |lab| {
            lab.aws.world(|world| world.cache_prefixes(A, REGION)).is_empty()
        })
        .await;
    });
}

/// Whose statements alone are pruned waits for nothing that is not his: not for a list of rules that cannot be read.
#[test]
fn a_token_of_statements_is_handled_while_rules_cannot_be_read() {
    run(1_503, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "lost", "default", &[B], "team-a/*"));
        lab.apply(&cache("team-b", "stays", "default", "stays"));
        lab.until_ready(&["team-a/lost"]).await;
        lab.until_ready_of(CACHES, &["team-b/stays"]).await;
        let token = lose(lab, POLICIES, "lost").await;
        let denied = Fault::error(400, "AccessDeniedException", "sim").on("DescribePullThroughCacheRules");
        lab.aws.world(|world| world.inject(denied));
        confirm(lab, &token);
        lab.until("it is pruned", |lab| !lab.may_pull(B, "team-a/app")).await;
        lab.until("and done with", |lab| handled(lab) == json!(token)).await;
        lab.aws.world(World::clear_faults);
        lab.pass(INTERVAL).await;
        lab.assert_at_rest().await;
    });
}

/// One answer that lacks what is to be pruned is no proof that it is gone.
#[test]
fn a_late_list_makes_nobody_forget_what_is_to_be_pruned() {
    for is_said in [true, false] {
        run(1_504, async |lab| {
            lab.two_teams();
            lab.apply(&cache("team-a", "lost", "default", "lost"));
            lab.until_ready_of(CACHES, &["team-a/lost"]).await;
            let token = lose(lab, CACHES, "lost").await;
            let late = Fault::nothing_there().on("DescribePullThroughCacheRules").once();
            lab.aws.world(|world| world.inject(late));
            if is_said {
                confirm(lab, &token);
            } else {
                lab.reconcile_now("default");
            }
            lab.pass(INTERVAL).await;
            assert_eq!(
                lab.aws.world(|world| world.cache_prefixes(A, REGION)).is_empty(),
                is_said,
                "{}",
                lab.describe()
            );
            assert_eq!(lab.ledger("default").is_empty(), is_said);
            lab.assert_at_rest().await;
        });
    }
}
