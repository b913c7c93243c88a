//! The parts of a cache across accounts, in every order and under every delay (behaviour 26).

use std::time::Duration;

use super::*;
use crate::lab::objects::{cache_by_role, namespace, role};
use crate::lab::run;

/// The four things that a person applies, in one order of all.
fn permutations() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3]);
    all.filter(|order| (0..4).all(|i| order.contains(&i))).collect()
}

#[test]
fn in_whatever_order_the_parts_come_all_become_ready() {
    for order in permutations() {
        for apart in [Duration::ZERO, Duration::from_secs(20)] {
            run(1_010, async |lab| {
                lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
                lab.apply(&namespace("team-a"));
                let parts = [
                    registry("default", A),
                    upstream(),
                    role("team-a", "mirror", "upstream", &["base/*"]),
                    cache_by_role("team-a", "mirror", "upstream", "mirror"),
                ];
                for part in order {
                    lab.apply(&parts[part]);
                    if apart > Duration::ZERO {
                        lab.pass(apart).await;
                    }
                }
                until_all_ready(lab).await;
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Nobody but IAM sees a new role for a while: it is waited for, and is no fault of anybody's.
#[test]
fn a_role_that_takes_its_time_to_be_seen_is_waited_for() {
    for seconds in [0, 2, 30] {
        run(1_011, async |lab| {
            let propagation = Duration::from_secs(seconds);
            lab.aws.world(|world| world.set_propagation(propagation));
            two_registries(lab);
            lab.settle().await;
            let start = lab.clock.now();
            lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
            lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
            let terminal = std::cell::Cell::new(false);
            lab.until("all are Ready", |lab| {
                for (plural, name) in [(ROLES, "mirror"), (CACHES, "mirror")] {
                    terminal.set(terminal.get() || lab.ready(plural, "team-a", name).0 == "False");
                }
                is_all_ready(lab)
            })
            .await;
            assert!(!terminal.get(), "nothing that heals by itself is for a person to act on");
            let took = lab.since(start);
            assert!(took <= propagation * 3 / 2 + Duration::from_secs(3), "{seconds} s of propagation: {took:?}");
            lab.assert_at_rest().await;
        });
    }
}
