//! How fast IAM is called: one rate for an account, whatever its Regions (aws-facts K.16).

use std::time::Duration;

use ecr_permissions_core::reason::Because;

use super::*;
use crate::lab::B;

/// How long it takes.
async fn time(lab: &Lab, of: impl Future<Output = ()>) -> Duration {
    let start = lab.clock.now();
    of.await;
    lab.since(start)
}

async fn read(iam: &Iam, times: usize) {
    for _ in 0..times {
        assert_eq!(iam.role(GONE).await, None);
    }
}

#[test]
fn the_registries_of_an_account_share_its_iam() {
    run(1, async |lab| {
        alone(lab);
        let clients = Clients::new(lab, lab.sdk());
        let (here, there) = (clients.of(A, REGION).await, clients.of(A, "us-east-1").await);
        let other = clients.of(B, REGION).await;
        assert_eq!(time(lab, read(&here, 25)).await, Duration::ZERO);
        assert_eq!(time(lab, read(&there, 25)).await, Duration::ZERO);
        let waited = time(lab, read(&there, 10)).await;
        assert!((0.9..1.1).contains(&waited.as_secs_f64()), "{waited:?}");
        let free = async {
            read(&other, 50).await;
            here.proven.cache_rules().await.unwrap();
        };
        assert_eq!(time(lab, free).await, Duration::ZERO);
    });
}

#[test]
fn writes_come_in_a_burst_of_fifty_and_then_five_a_second() {
    run(1, async |lab| {
        alone(lab);
        let clients = Clients::new(lab, lab.sdk());
        let (here, there) = (clients.of(A, REGION).await, clients.of(A, "us-east-1").await);
        let permits = async |iam: &Iam, times: usize| {
            for _ in 0..times {
                iam.permit().await;
            }
        };
        assert_eq!(time(lab, permits(&here, 25)).await, Duration::ZERO);
        assert_eq!(time(lab, permits(&there, 25)).await, Duration::ZERO);
        let waited = time(lab, permits(&here, 5)).await;
        assert!((0.9..1.1).contains(&waited.as_secs_f64()), "{waited:?}");
        let of_rules = Permit::for_thing(&here.proven, &here.proof, None, Lane::Growth);
        assert_eq!(time(lab, async { assert!(of_rules.await.is_ok()) }).await, Duration::ZERO);
    });
}

/// Behaviour 8: who may not write gets no leave to.
#[test]
fn who_is_restrained_gets_no_permit() {
    bench(async |_, iam| {
        let because = Because::new(Reason::ObserveOnly, "observing");
        let refused = Permit::for_role(&iam.proven, &iam.proof, Some(&because), Lane::Growth).await.unwrap_err();
        assert_eq!(refused, because);
    });
}

/// Whoever IAM asks to slow down goes on with ECR as fast as ever.
#[test]
fn a_throttled_iam_slows_the_account_and_not_its_registries() {
    run(1, async |lab| {
        alone(lab);
        let clients = Clients::new(lab, lab.sdk());
        let (here, there) = (clients.of(A, REGION).await, clients.of(A, "us-east-1").await);
        inject(lab, Fault::error(400, "Throttling", "Rate exceeded").on("CreateRole").once());
        let error = here.create(&wanted()).await.unwrap_err();
        assert_eq!(here.proven.session().because(&error).reason, Reason::Throttled);
        let registries = async {
            for _ in 0..5 {
                here.proven.cache_rules().await.unwrap();
            }
        };
        assert_eq!(time(lab, registries).await, Duration::ZERO);
        let waited = time(lab, read(&there, 2)).await;
        assert!(waited > Duration::from_millis(190), "{waited:?}");

        let other = clients.of(B, REGION).await;
        inject(lab, Fault::error(400, "ThrottlingException", "Rate exceeded").on("DescribeRegistry").times(3));
        assert_eq!(other.proven.prove_registry().await.unwrap_err().reason, Reason::Throttled);
        assert_eq!(time(lab, read(&other, 50)).await, Duration::ZERO);
    });
}
