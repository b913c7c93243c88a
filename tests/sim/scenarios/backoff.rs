//! Who fails waits longer every time, and nobody waits with it (faults of one namespace beside those of another).

use std::time::Duration;

use aws_sim::Fault as AwsFault;
use kube_sim::{Fault, Matching, Phase};

use crate::lab::objects::{POLICIES, pull};
use crate::lab::{A, B, run};

const C: &str = "444444444444";

/// Behaviour 49: an object that takes no finalizer for hours, or no status, and another one whose write AWS answers with an error once.
#[test]
fn who_has_failed_for_hours_makes_nobody_else_wait() {
    let stuck = || Matching::writes().resource(POLICIES).name("stuck");
    for refused in [stuck().main(), stuck().status()] {
        run(1, async |lab| {
            lab.two_teams();
            lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
            lab.until_ready(&["team-b/pull"]).await;
            lab.kube.inject(refused, 1, u32::MAX, Fault::Error(403, Phase::Before));
            lab.apply(&pull("team-a", "stuck", "default", &[B], "team-a/*"));
            lab.pass(Duration::from_hours(2)).await;
            assert!(!lab.is_ready(POLICIES, "team-a", "stuck"));

            lab.aws.world(|world| {
                world.inject(
                    AwsFault::error(500, "ServerException", "sim").on("PutRegistryPolicy").in_account(A).times(9),
                );
            });
            lab.apply(&pull("team-b", "new", "default", &[C], "new/*"));
            let since = lab.clock.now();
            lab.until("it is Ready", |lab| lab.is_ready(POLICIES, "team-b", "new")).await;
            assert!(lab.since(since) <= Duration::from_secs(20), "{:?}", lab.since(since));
        });
    }
}
