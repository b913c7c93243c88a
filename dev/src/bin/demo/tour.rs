//! The tour: what a platform team, three application teams and a foreign hand do, and what the registry policies of two
//! accounts look like meanwhile. A step that shows something else than it says fails.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Done;
use crate::aws::{Question, foreign, statements};
use crate::say::Say;
use crate::stage::{PRODUCTION, STAGING, Stage};

const PULL: &str = "ecr:BatchGetImage";

const SHOP: Question = Question { account: PRODUCTION, who: "555566667777", action: PULL, repository: "web/shop" };
const REPORTS: Question = Question {
    account: PRODUCTION,
    who: "arn:aws:iam::666677778888:role/ci/puller",
    action: PULL,
    repository: "data/reports",
};
const RELEASES: Question =
    Question { account: PRODUCTION, who: STAGING, action: "ecr:ReplicateImage", repository: "release/shop" };
const STAGING_SHOP: Question = Question { account: STAGING, who: "555566667777", action: PULL, repository: "web/shop" };
const BACKUPS: Question =
    Question { account: PRODUCTION, who: "777788889999", action: "ecr:ReplicateImage", repository: "backup/shop" };

const NGINX: Question =
    Question { account: PRODUCTION, who: "555566667777", action: PULL, repository: "web/docker-hub/library/nginx" };

const SHOP_OF_STAGING: Question =
    Question { account: PRODUCTION, who: "555566667777", action: PULL, repository: "web/staging/shop" };

const KINDS: &str = "registrypolicies,replicationgrants";

/// A grant that the owner of `production` has not allowed team-data to make.
const NOT_THEIRS: &str = r#"apiVersion: ecr-permissions.dev/v1alpha1
kind: RegistryPolicy
metadata: {name: not-theirs, namespace: team-data}
spec:
  registryRef: {name: production}
  statements:
  - name: pull
    principals: {accountIds: ["555566667777"]}
    actions: ["ecr:BatchGetImage"]
    repositories: ["web/*"]
"#;

/// The sentence of a condition, and the fate of an object in one line.
const CONDITIONS: &str = r#"jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}"#;

pub fn tour(stage: &mut Stage, say: &mut Say) -> Done {
    before(stage, say)?;
    registries(stage, say)?;
    let installation =
        stage.quietly(&["get", "registry", "production", "-o", "jsonpath={.status.installationId}"], "")?;
    let mut tour = Tour { stage, say, foreign: Vec::new(), installation };
    tour.foreign = tour.foreign_now()?;
    tour.teams()?;
    tour.after()?;
    tour.not_allowed()?;
    tour.foreign_edit()?;
    tour.drift()?;
    tour.deletion()?;
    tour.caches()?;
    tour.across()?;
    let (calls, writes) = tour.stage.aws.calls()?;
    tour.say.end()?;
    tour.say.note(&format!("AWS saw {calls} calls, {writes} of them writes."))?;
    Ok(())
}

fn before(stage: &Stage, say: &mut Say) -> Done {
    say.step("Before: AWS as the operator finds it")?;
    say.note("Another tool has a statement in production's registry policy. AWS keeps one policy an account and Region,\nand a write replaces all of it. Staging has none.")?;
    for account in [PRODUCTION, STAGING] {
        stage.aws.show(account, "", say)?;
    }
    for question in [SHOP, REPORTS, RELEASES, STAGING_SHOP] {
        expect(stage.aws.show_answer(&question, say)?, false)?;
    }
    expect(stage.aws.show_answer(&BACKUPS, say)?, true)
}

fn registries(stage: &Stage, say: &mut Say) -> Done {
    say.step("The platform team declares two Registries, and who may attach what")?;
    stage.kubectl(&["apply", "-f", "deploy/samples/registry.yaml"], say)?;
    stage.kubectl(&["wait", "--for=condition=Ready", "registries", "--all", "--timeout=30s"], say)?;
    stage.kubectl(&["get", "registries"], say)
}

/// The steps after the Registries are there.
struct Tour<'a> {
    stage: &'a mut Stage,
    say: &'a mut Say,
    /// What must stand in production's policy at every moment, in this order and with these values.
    foreign: Vec<Value>,
    installation: String,
}

impl Tour<'_> {
    fn teams(&mut self) -> Done {
        self.say.step("Three teams apply their objects, each in a namespace of its own")?;
        self.kubectl(&["apply", "-f", "deploy/samples/namespaces.yaml"])?;
        let samples = ["-f", "deploy/samples/registrypolicy.yaml", "-f", "deploy/samples/replicationgrant.yaml"];
        self.kubectl(&[&["apply"], &samples[..]].concat())?;
        self.kubectl(&["wait", "--for=condition=Ready", KINDS, "--all", "--all-namespaces", "--timeout=30s"])?;
        self.kubectl(&["get", KINDS, "--all-namespaces"])
    }

    fn after(&mut self) -> Done {
        self.say
            .step("After: the objects of three teams are one policy in each account, beside the foreign statement")?;
        for account in [PRODUCTION, STAGING] {
            self.stage.aws.show(account, &self.installation, self.say)?;
        }
        for question in [SHOP, REPORTS, RELEASES, STAGING_SHOP, BACKUPS] {
            expect(self.stage.aws.show_answer(&question, self.say)?, true)?;
        }
        let (calls, writes) = self.stage.aws.calls()?;
        self.say.note(&format!("Six objects took {writes} writes, and {calls} AWS calls in all."))?;
        self.foreign_is_untouched()
    }

    fn not_allowed(&mut self) -> Done {
        self.say.step("team-data asks for what is not its own, and is told why not")?;
        self.stage.kubectl_with(&["apply", "-f", "-"], NOT_THEIRS, self.say)?;
        let name = "registrypolicy/not-theirs";
        self.kubectl(&["wait", "--for=condition=Ready=False", name, "-n", "team-data", "--timeout=30s"])?;
        self.kubectl(&["get", name, "-n", "team-data"])?;
        self.kubectl(&["get", name, "-n", "team-data", "-o", CONDITIONS])?;
        let accepted = r#"jsonpath={.status.conditions[?(@.type=="Accepted")].reason}"#;
        let reason = self.stage.quietly(&["get", name, "-n", "team-data", "-o", accepted], "")?;
        if reason != "NotAllowed" {
            return Err(format!("the object should be NotAllowed, and is {reason}").into());
        }
        self.foreign_is_untouched()
    }

    fn foreign_edit(&mut self) -> Done {
        self.say.step("Another tool adds a statement, then a team edits its object: both stay")?;
        let added = json!({
            "Sid": "AddedInTheConsole",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "ecr:BatchDeleteImage",
            "Resource": format!("arn:aws:ecr:eu-west-1:{PRODUCTION}:repository/release/*"),
            "Condition": {"StringNotEquals": {"aws:PrincipalAccount": PRODUCTION}},
        });
        self.edit_by_a_foreign_hand(|all| all.insert(0, added.clone()))?;
        self.foreign.insert(0, added);
        let patch = r#"[{"op":"add","path":"/spec/statements/0/principals/accountIds/-","value":"666677778888"}]"#;
        self.kubectl(&["patch", "registrypolicy", "storefront", "-n", "team-web", "--type=json", "-p", patch])?;
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "registrypolicy/storefront",
            "-n",
            "team-web",
            "--timeout=30s",
        ])?;
        self.stage.aws.show(PRODUCTION, &self.installation, self.say)?;
        let newcomer = Question { who: "666677778888", ..SHOP };
        expect(self.stage.aws.show_answer(&newcomer, self.say)?, true)?;
        self.foreign_is_untouched()
    }

    fn drift(&mut self) -> Done {
        self.say.step("Somebody removes team-web's statement in AWS: it is put back")?;
        self.edit_by_a_foreign_hand(|all| all.retain(|statement| !statement.to_string().contains("repository/web/*")))?;
        expect(self.stage.aws.show_answer(&SHOP, self.say)?, false)?;
        self.say.note("The next look at AWS (every 5 minutes, unless the Registry says otherwise) would find out.\nWho does not want to wait asks for one:")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let request = format!("reconcile.ecr-permissions.dev/requestedAt={now}");
        self.kubectl(&["annotate", "registry", "production", "--overwrite", &request])?;
        self.stage.wait("team-web's statement is back", |stage| {
            let (allowed, because) = stage.aws.would(&SHOP)?;
            Ok(if allowed { Ok(()) } else { Err(because) })
        })?;
        expect(self.stage.aws.show_answer(&SHOP, self.say)?, true)?;
        self.foreign_is_untouched()
    }

    fn deletion(&mut self) -> Done {
        self.say.step("team-data deletes its object: exactly what it had granted goes")?;
        self.kubectl(&["delete", "registrypolicy", "reports", "-n", "team-data", "--timeout=30s"])?;
        self.stage.aws.show(PRODUCTION, &self.installation, self.say)?;
        expect(self.stage.aws.show_answer(&REPORTS, self.say)?, false)?;
        for question in [SHOP, RELEASES, BACKUPS] {
            expect(self.stage.aws.show_answer(&question, self.say)?, true)?;
        }
        self.foreign_is_untouched()
    }

    fn caches(&mut self) -> Done {
        self.say.step("team-web caches Docker Hub and ECR Public: a pull that was refused goes through")?;
        self.say.note("The credentials for Docker Hub lie in Secrets Manager. The operator looks up the secret's ARN and never reads it.")?;
        self.stage.aws.create_secret(PRODUCTION, "ecr-pullthroughcache/docker-hub")?;
        expect(self.stage.aws.show_pull_through(&NGINX, self.say)?, false)?;
        let caches = ["pullthroughcacherules", "-n", "team-web"];
        self.kubectl(&["apply", "-f", "deploy/samples/pullthroughcacherule.yaml"])?;
        self.kubectl(&[&["wait", "--for=condition=Ready", "--all", "--timeout=30s"], &caches[..]].concat())?;
        self.kubectl(&[&["get"], &caches[..]].concat())?;
        expect(self.stage.aws.show_pull_through(&NGINX, self.say)?, true)?;
        self.foreign_is_untouched()
    }

    fn across(&mut self) -> Done {
        self.say.step("team-web caches staging, another account: role, grant and rule from one file")?;
        self.say.note("The role is made in production and bounded there, staging grants to that role alone, the rule comes last.\nIAM takes two seconds to show a new role to others.")?;
        expect(self.stage.aws.show_pull_through(&SHOP_OF_STAGING, self.say)?, false)?;
        self.kubectl(&["apply", "-f", "deploy/samples/crossaccountptcrole.yaml"])?;
        let set = ["crossaccountptcrole/staging-images", "pullthroughcacherule/staging", "-n", "team-web"];
        self.kubectl(&[&["wait", "--for=condition=Ready", "--timeout=30s"], &set[..]].concat())?;
        self.kubectl(&["get", "crossaccountptcroles,pullthroughcacherules", "-n", "team-web"])?;
        self.stage.aws.show(STAGING, &self.installation, self.say)?;
        expect(self.stage.aws.show_pull_through(&SHOP_OF_STAGING, self.say)?, true)?;
        self.foreign_is_untouched()
    }

    fn kubectl(&self, args: &[&str]) -> Done {
        self.stage.kubectl(args, self.say)
    }

    fn edit_by_a_foreign_hand(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Done {
        let mut policy = self.stage.aws.policy(PRODUCTION)?.ok_or("production has no registry policy")?;
        let mut all = statements(&policy).to_vec();
        edit(&mut all);
        policy["Statement"] = all.into();
        self.stage.aws.put_policy(PRODUCTION, &policy)
    }

    fn foreign_now(&self) -> Done<Vec<Value>> {
        Ok(foreign(self.stage.aws.policy(PRODUCTION)?.as_ref(), &self.installation))
    }

    fn foreign_is_untouched(&self) -> Done {
        let now = self.foreign_now()?;
        if now == self.foreign {
            return Ok(());
        }
        Err(format!("the foreign statements should be {}, and are {}", json!(self.foreign), json!(now)).into())
    }
}

fn expect(allowed: bool, expected: bool) -> Done {
    if allowed == expected { Ok(()) } else { Err("AWS should have answered otherwise".into()) }
}
