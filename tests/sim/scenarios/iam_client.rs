//! The client of IAM, call by call and without an operator: what it sends, what it makes of answers and refusals, and
//! how fast it goes.

mod pace;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sim::{Fault, World};
use ecr_permissions::aws::ecr::AccountProof;
use ecr_permissions::aws::error::{Error, Kind};
use ecr_permissions::aws::gate::Lane;
use ecr_permissions::aws::gate::Rates;
use ecr_permissions::aws::metrics::AwsMetrics;
use ecr_permissions::aws::permit::Permit;
use ecr_permissions::aws::session::{Proven, Sessions};
use ecr_permissions::runtime::leader::Leadership;
use ecr_permissions_core::api::RegistrySpec;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::roles::{POLICY, Role, Stored};
use ecr_permissions_core::reason::Reason;
use serde_json::{Value, json};

use crate::lab::objects::registry;
use crate::lab::{A, Lab, REGION, run};

const NAME: &str = "ptc-x";
const GONE: &str = "gone";
/// What documents may hold: reserved characters, what looks encoded, and letters beyond ASCII.
const ODD: &str = "50% + é *~&<%41>";
const BOUNDARY: &str = "arn:aws:iam::111111111111:policy/bounds";

const ODD_KEY: &str = "ecr-permissions.dev/owner:1 = @";
/// All there are, as [`Iam::each_write`] calls them.
const WRITES: [&str; 7] =
    ["CreateRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "TagRole", "UntagRole", "DeleteRolePolicy", "DeleteRole"];

/// Everybody's sessions, and whether they may write.
struct Clients {
    sessions: Sessions,
    leadership: Leadership,
}

/// A registry's clients, proven.
struct Iam {
    proven: Proven,
    proof: AccountProof,
}

impl Clients {
    fn new(lab: &Lab, sdk: SdkConfig) -> Self {
        let leadership = Leadership::always();
        let sessions = Sessions::new(sdk, lab.clock, Rates::default(), leadership.clone(), AwsMetrics::default());
        Self { sessions, leadership }
    }

    /// As the member role of the account.
    async fn of(&self, account: &str, region: &str) -> Iam {
        self.with(account, region, serde_json::from_value(registry("default", account)["spec"].take()).unwrap()).await
    }

    async fn with(&self, account: &str, region: &str, spec: RegistrySpec) -> Iam {
        let key = RegistryKey { account: account.parse().unwrap(), region: region.parse().unwrap() };
        let proven = self.sessions.of(&key, &spec).await.prove().await.unwrap();
        let proof = proven.prove_registry().await.unwrap();
        Iam { proven, proof }
    }
}

impl Iam {
    async fn permit(&self) -> Permit {
        Permit::for_role(&self.proven, &self.proof, None, Lane::Growth).await.unwrap()
    }

    async fn role(&self, name: &str) -> Option<Stored> {
        self.proven.role(name).await.unwrap()
    }

    async fn create(&self, role: &Role) -> Result<(), Error> {
        self.proven.create_role(self.permit().await, role).await
    }

    /// Each write once, in an order in which all succeed, if the role is not there.
    async fn each_write(&self, name: &str) -> Vec<Result<(), Error>> {
        let (aws, keys) = (&self.proven, [ODD_KEY.to_owned()]);
        vec![
            self.create(&Role { name: name.to_owned(), ..wanted() }).await,
            aws.update_role_trust(self.permit().await, name, &trust("ecr.amazonaws.com")).await,
            aws.put_role_policy(self.permit().await, name, &policy("*")).await,
            aws.tag_role(self.permit().await, name, &tags([("more", "")])).await,
            aws.untag_role(self.permit().await, name, &keys).await,
            aws.delete_role_policy(self.permit().await, name).await,
            aws.delete_role(self.permit().await, name).await,
        ]
    }
}

/// A cluster without an operator, whose AWS nobody else calls.
fn bench<F: AsyncFnOnce(&Lab, Iam)>(scenario: F) {
    run(1, async |lab| {
        alone(lab);
        let iam = Clients::new(lab, lab.sdk()).of(A, REGION).await;
        scenario(lab, iam).await;
    });
}

fn alone(lab: &mut Lab) {
    lab.stop();
    lab.aws.ignore_calls();
    lab.aws.world(|world| world.add_managed_policy(A, "bounds", &policy("*")));
}

fn wanted() -> Role {
    Role {
        name: NAME.to_owned(),
        path: "/ecr-operator/x/".to_owned(),
        arn: format!("arn:aws:iam::{A}:role/ecr-operator/x/{NAME}"),
        trust: trust("pullthroughcache.ecr.amazonaws.com"),
        policy: policy(ODD),
        boundary: BOUNDARY.to_owned(),
        tags: tags([(ODD_KEY, "team-a/hub+é"), ("plain", "")]),
        pulls: ecr_permissions_core::api::LedgerPulls::default(),
    }
}

fn tags<const N: usize>(tags: [(&str, &str); N]) -> BTreeMap<String, String> {
    tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn trust(service: &str) -> String {
    let statement = json!({
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole",
        "Condition": {"StringNotEquals": {"sts:ExternalId": ODD}},
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn policy(repository: &str) -> String {
    let resource = format!("arn:aws:ecr:*:{A}:repository/{repository}");
    let statement = json!({"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": resource});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The operations of IAM that were called since a moment of the record.
fn calls_since(lab: &Lab, start: usize) -> Vec<String> {
    let calls = lab.aws.world(|world| world.calls()[start..].to_vec());
    calls.into_iter().filter(|call| call.service == "iam").map(|call| call.operation).collect()
}

fn calls(lab: &Lab) -> usize {
    lab.aws.world(|world| world.calls().len())
}

fn edit(lab: &Lab, edit: impl FnOnce(&mut aws_sim::Role)) {
    lab.aws.world(|world| world.edit_role(A, NAME, edit));
}

fn inject(lab: &Lab, fault: Fault) {
    lab.aws.world(|world| world.inject(fault));
}

fn in_aws(lab: &Lab, name: &str) -> Option<aws_sim::Role> {
    lab.aws.world(|world| world.role(A, name))
}

/// aws-facts A.3: documents come back encoded, and creating a role puts no policy.
#[test]
fn a_role_is_read_as_it_was_made_whatever_its_documents_hold() {
    bench(async |lab, iam| {
        let role = wanted();
        iam.create(&role).await.unwrap();
        assert_eq!(iam.role(NAME).await.unwrap().policy, None);
        iam.proven.put_role_policy(iam.permit().await, NAME, &role.policy).await.unwrap();
        let stored = iam.role(NAME).await.unwrap();
        let in_aws = in_aws(lab, NAME).unwrap();
        assert_eq!((parsed(&stored.trust), in_aws.description), (parsed(&role.trust), None));
        let expected = Stored {
            name: role.name,
            arn: role.arn,
            id: in_aws.id,
            trust: stored.trust.clone(),
            boundary: Some(role.boundary),
            tags: role.tags,
            policy: Some(role.policy),
            other_policies: Vec::new(),
            attached: Vec::new(),
        };
        assert_eq!(stored, expected);
    });
}

#[test]
fn a_role_that_is_there_takes_four_calls_and_one_that_is_not_takes_one() {
    bench(async |lab, iam| {
        iam.create(&wanted()).await.unwrap();
        let start = calls(lab);
        assert!(iam.role(NAME).await.is_some());
        let made = calls_since(lab, start);
        assert_eq!((made[0].as_str(), made.len()), ("GetRole", 4));
        let rest = ["GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"];
        assert_eq!(made[1..].iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(rest));
        let start = calls(lab);
        assert_eq!(iam.role(GONE).await, None);
        assert_eq!(calls_since(lab, start), ["GetRole"]);
    });
}

/// aws-facts A.3: lists come in pages of a thousand at most.
#[test]
fn all_that_others_hung_on_a_role_is_seen_however_much_it_is() {
    bench(async |lab, iam| {
        iam.create(&wanted()).await.unwrap();
        iam.proven.put_role_policy(iam.permit().await, NAME, &wanted().policy).await.unwrap();
        let names: Vec<_> = (0..1_001).map(|n| format!("theirs-{n:04}")).collect();
        let arns: Vec<_> = names.iter().map(|name| format!("arn:aws:iam::{A}:policy/{name}")).collect();
        edit(lab, |role| {
            role.inline_policies.extend(names.iter().map(|name| (name.clone(), policy("*"))));
            role.attached_policies.extend(arns.clone());
        });
        let start = calls(lab);
        let stored = iam.role(NAME).await.unwrap();
        assert_eq!((stored.policy, stored.other_policies, stored.attached), (Some(wanted().policy), names, arns));
        assert_eq!(calls_since(lab, start).len(), 6);
    });
}

/// A role that goes while it is read is as one that is not there; only the policy of ours may be missing alone.
#[test]
fn a_role_that_goes_while_it_is_read_is_none() {
    bench(async |lab, iam| {
        iam.create(&wanted()).await.unwrap();
        for list in ["ListRolePolicies", "ListAttachedRolePolicies"] {
            inject(lab, Fault::nothing_there().on(list).once());
            assert_eq!(iam.role(NAME).await, None, "{list}");
        }
        inject(lab, Fault::nothing_there().on("GetRolePolicy").once());
        assert_eq!(iam.role(NAME).await.unwrap().policy, None);
        inject(lab, Fault::error(403, "AccessDenied", "no").on("ListRolePolicies").once());
        assert_eq!(iam.proven.role(NAME).await.unwrap_err().kind, Kind::Denied);
    });
}

#[test]
fn each_write_changes_what_it_says_and_nothing_else() {
    bench(async |lab, iam| {
        let (aws, role) = (&iam.proven, wanted());
        iam.create(&role).await.unwrap();
        edit(lab, |role| drop(role.inline_policies.insert("theirs".to_owned(), policy("theirs/*"))));
        let mut expected = in_aws(lab, NAME).unwrap();
        let start = calls(lab);

        let trusted = trust("ecr.amazonaws.com");
        aws.update_role_trust(iam.permit().await, NAME, &trusted).await.unwrap();
        expected.trust = trusted;
        assert_eq!(in_aws(lab, NAME).as_ref(), Some(&expected));

        aws.put_role_policy(iam.permit().await, NAME, &role.policy).await.unwrap();
        expected.inline_policies.insert(POLICY.to_owned(), role.policy.clone());
        assert_eq!(in_aws(lab, NAME).as_ref(), Some(&expected));

        aws.tag_role(iam.permit().await, NAME, &tags([("plain", "new"), ("more", "1")])).await.unwrap();
        expected.tags.extend(tags([("plain", "new"), ("more", "1")]));
        assert_eq!(in_aws(lab, NAME).as_ref(), Some(&expected));

        aws.untag_role(iam.permit().await, NAME, &["more".to_owned(), ODD_KEY.to_owned()]).await.unwrap();
        expected.tags = tags([("plain", "new")]);
        assert_eq!(in_aws(lab, NAME).as_ref(), Some(&expected));

        aws.delete_role_policy(iam.permit().await, NAME).await.unwrap();
        expected.inline_policies.remove(POLICY);
        assert_eq!(in_aws(lab, NAME), Some(expected));

        edit(lab, |role| role.inline_policies.clear());
        aws.delete_role(iam.permit().await, NAME).await.unwrap();
        assert_eq!(in_aws(lab, NAME), None);
        assert_eq!(calls_since(lab, start), WRITES[1..]);
    });
}

#[test]
fn what_is_gone_already_is_as_taken_away_and_cannot_be_changed() {
    bench(async |lab, iam| {
        inject(lab, Fault::error(403, "AccessDenied", "no").on("CreateRole").once());
        let kinds: Vec<_> = iam.each_write(GONE).await.into_iter().map(|r| r.map_err(|e| e.kind)).collect();
        let missing = Err(Kind::NotFound);
        assert_eq!(kinds, [Err(Kind::Denied), missing, missing, missing, Ok(()), Ok(()), Ok(())]);
        // The policy alone.
        iam.create(&wanted()).await.unwrap();
        iam.proven.delete_role_policy(iam.permit().await, NAME).await.unwrap();
    });
}

/// aws-facts A.3: what IAM refuses, by kind.
#[test]
fn refusals_of_iam_say_what_is_to_be_done() {
    bench(async |lab, iam| {
        iam.create(&wanted()).await.unwrap();
        let other = || Role { name: "other".to_owned(), ..wanted() };
        let long = trust("ecr.amazonaws.com").replace("50%", &"x".repeat(2_048));
        for (role, kind) in [
            (Role { name: NAME.to_uppercase(), ..wanted() }, Kind::Exists),
            (Role { trust: "{".to_owned(), ..other() }, Kind::Invalid),
            (Role { trust: long, ..other() }, Kind::Full),
            (Role { boundary: format!("{BOUNDARY}-2"), ..other() }, Kind::NotFound),
            (Role { boundary: "no ARN of any policy".to_owned(), ..other() }, Kind::Invalid),
        ] {
            let error = iam.create(&role).await.unwrap_err();
            assert_eq!((error.kind, error.outcome_unknown), (kind, false), "{error}");
        }
        let hang: [fn(&mut aws_sim::Role); 3] = [
            |role| role.attached_policies.extend([BOUNDARY.to_owned()]),
            |role| role.inline_policies.extend([("theirs".to_owned(), policy("*"))]),
            |role| role.instance_profiles.extend(["theirs".to_owned()]),
        ];
        for hang in hang {
            edit(lab, hang);
            let error = iam.proven.delete_role(iam.permit().await, NAME).await.unwrap_err();
            assert_eq!((error.kind, error.reason()), (Kind::InUse, Reason::DeletionBlocked), "{error}");
            edit(lab, |role| {
                role.attached_policies.clear();
                role.inline_policies.clear();
            });
        }
    });
}

/// aws-facts K.2: the SDK repeats no write, whatever it thinks of the error; reads it does.
#[test]
fn a_write_is_sent_once_and_says_whether_it_may_have_happened() {
    bench(async |lab, iam| {
        for (fault, kind, outcome_unknown) in [
            (Fault::error(500, "ServiceFailure", "down"), Kind::Transient, true),
            (Fault::reset(), Kind::Transient, true),
            (Fault::error(409, "ConcurrentModification", "busy"), Kind::Transient, false),
            (Fault::error(400, "Throttling", "Rate exceeded"), Kind::Throttled, false),
        ] {
            inject(lab, fault.of_service("iam").on_writes().times(7));
            let start = calls(lab);
            for result in iam.each_write(NAME).await {
                let error = result.unwrap_err();
                assert_eq!((error.kind, error.outcome_unknown), (kind, outcome_unknown), "{error}");
            }
            assert_eq!(calls_since(lab, start), WRITES);
        }
        inject(lab, Fault::error(500, "ServiceFailure", "down").on("GetRole").once());
        let start = calls(lab);
        assert_eq!(iam.role(NAME).await, None);
        assert_eq!(calls_since(lab, start), ["GetRole", "GetRole"]);
    });
}

/// Credentials that IAM does not take are let go of between two passes, and what was proven of them gives no leave to write.
#[test]
fn credentials_that_iam_refuses_are_let_go_of() {
    for code in ["InvalidClientTokenId", "ExpiredToken", "AccessDenied"] {
        run(1, async |lab| {
            alone(lab);
            let clients = Clients::new(lab, lab.sdk());
            let iam = clients.of(A, REGION).await;
            let start = calls(lab);
            inject(lab, Fault::error(403, code, "no").of_service("iam").once());
            let error = iam.proven.role(NAME).await.unwrap_err();
            let renewed = if code == "AccessDenied" { Kind::Denied } else { Kind::Unauthenticated };
            assert_eq!((error.kind, error.outcome_unknown), (renewed, false), "{error}");
            assert_eq!(iam.role(NAME).await, None, "the pass goes on with what it has");
            iam.permit().await;
            clients.of(A, REGION).await;
            let issued = lab
                .aws
                .world(|world| world.calls()[start..].iter().filter(|call| call.operation == "AssumeRole").count());
            let permit =
                Permit::for_role(&iam.proven, &iam.proof, None, Lane::Growth).await.map(drop).map_err(|b| b.reason);
            if error.kind == Kind::Unauthenticated {
                assert_eq!((issued, permit), (1, Err(Reason::CredentialsRefused)));
            } else {
                assert_eq!((issued, permit), (0, Ok(())));
            }
        });
    }
}

/// Every write of IAM counts as one: a process that leads no more sends none, and still reads.
#[test]
fn who_leads_no_more_writes_nothing() {
    run(1, async |lab| {
        alone(lab);
        let clients = Clients::new(lab, lab.sdk());
        let iam = clients.of(A, REGION).await;
        assert!(iam.each_write(NAME).await.iter().all(Result::is_ok));
        clients.leadership.resign();
        let start = calls(lab);
        for result in iam.each_write(NAME).await {
            let error = result.unwrap_err();
            assert_eq!((error.kind, error.outcome_unknown), (Kind::NotLeading, false), "{error}");
        }
        assert_eq!(calls_since(lab, start), [""; 0]);
        assert_eq!(iam.role(NAME).await, None);
    });
}
