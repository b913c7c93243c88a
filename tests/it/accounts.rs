//! Several accounts, some of them wrong, and what each Registry lets in.

use aws_sim::{Outage, Trust};
use serde_json::json;

use crate::lab::Lab;
use crate::lab::aws::{HOME, OPERATOR};
use crate::lab::objects::{pull, registry};

/// Behaviours 33 and 37.
#[tokio::test]
async fn an_account_that_is_the_wrong_one_or_refuses_the_role_is_named_and_the_others_go_on() {
    let (lab, _) = Lab::shared().await;
    let accounts = ["100000003301", "100000003302", "100000003303", "100000003304"].map(|id| lab.account(id));
    let [mismatched, refusing, silent, well] = &accounts;
    lab.namespace("accounts").await;
    let mut registries = [
        registry("accounts-mismatched", mismatched),
        registry("accounts-refusing", refusing),
        registry("accounts-silent", silent),
        registry("accounts-well", well),
    ];
    // The operator's own credentials, which are of another account.
    registries[0]["spec"].as_object_mut().unwrap().shift_remove("identity");
    lab.aws.world(|world| {
        let other = Trust { external_id: Some("another".to_owned()), ..Trust::of([OPERATOR]) };
        world.set_trust(&refusing.id, crate::lab::aws::ROLE, other);
        world.set_outage(&silent.id, Some(Outage::Hang));
    });
    let objects = registries.each_ref().map(|registry| {
        pull("accounts", crate::lab::name(registry), crate::lab::name(registry), "200000000001", "team")
    });
    lab.create_all(&registries).await;
    lab.create_all(&objects).await;

    lab.ready(&objects[3]).await;
    for told in [&registries[0], &objects[0]] {
        let message = lab.says(told, "False", "AccountMismatch").await;
        assert!(message.contains(HOME) && message.contains(&mismatched.id), "{message}");
    }
    for told in [&registries[1], &objects[1]] {
        let message = lab.says(told, "False", "AssumeRoleDenied").await;
        assert!(message.contains(&refusing.role_arn()) && message.contains("external id"), "{message}");
    }
    assert_eq!(mismatched.writes() + refusing.writes() + silent.writes(), 0);

    // Each heals on its own.
    lab.aws.world(|world| {
        world.set_trust(&refusing.id, crate::lab::aws::ROLE, crate::lab::aws::trust());
        world.set_outage(&silent.id, None);
    });
    lab.ready(&objects[1]).await;
    lab.ready(&objects[2]).await;
}

/// Behaviour 36.
#[tokio::test]
async fn the_later_of_two_registries_for_one_account_says_so_to_its_objects() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000003601");
    lab.namespace("twins").await;
    let (first, second) = (registry("twins-first", &account), registry("twins-second", &account));
    lab.create(&first).await;
    // Age is counted in seconds; the next second is somebody else's.
    lab.ready(&first).await;
    let born = lab.get(&first).await["metadata"]["creationTimestamp"].clone();
    let mut made = lab.create(&second).await;
    while json!(made.metadata.creation_timestamp) == born {
        lab.delete(&second).await;
        lab.gone(&second).await;
        made = lab.create(&second).await;
    }
    let (well, refused) = (
        pull("twins", "well", "twins-first", "200000000001", "team"),
        pull("twins", "refused", "twins-second", "200000000002", "team"),
    );
    lab.create_all([&well, &refused]).await;
    lab.ready(&well).await;
    for told in [&second, &refused] {
        let message = lab.says(told, "False", "DuplicateRegistry").await;
        assert!(message.contains("twins-first"), "{message}");
    }
    assert!(account.pulls("200000000001", "team") && !account.pulls("200000000002", "team"));
    // With the first one gone it is nobody's duplicate any more.
    lab.delete(&well).await;
    lab.gone(&well).await;
    lab.delete(&first).await;
    lab.gone(&first).await;
    lab.ready(&refused).await;
}

/// Behaviour 34: also from a suspended object.
#[tokio::test]
async fn when_a_registry_no_longer_lets_an_object_in_its_access_goes() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000003401");
    let theirs = account.put_foreign();
    lab.namespace("consent").await;
    let registry = registry("consent", &account);
    let objects = [
        pull("consent", "plain", "consent", "200000000001", "team"),
        pull("consent", "suspended", "consent", "200000000002", "other"),
    ];
    lab.create(&registry).await;
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    lab.edit(&objects[1], json!({"spec": {"suspend": true}})).await;
    lab.says(&objects[1], "True", "Suspended").await;

    lab.edit(&registry, json!({"spec": {"allow": []}})).await;
    for object in &objects {
        lab.says(object, "False", "NotAllowed").await;
    }
    account.until("the access goes", |account| account.statements() == [theirs.clone()]).await;

    lab.edit(&registry, json!({"spec": {"allow": [crate::lab::objects::tenants()]}})).await;
    lab.ready(&objects[0]).await;
    assert!(account.pulls("200000000001", "team"));
}
