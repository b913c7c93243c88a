//! The tests of the policy language. The builders here are what its tests share.

mod compaction;
mod documents;
mod equality;
mod linting;
mod overlap;
mod properties;
mod spelling;

use proptest::prelude::*;

use super::{Action, ConditionKey, Effect, Principal, Shared, Statement};
use crate::names::{Partition, Region};

fn aws() -> Partition {
    Partition::AWS
}

fn china() -> Partition {
    "cn-north-1".parse::<Region>().unwrap().partition()
}

fn arn(pattern: &str) -> String {
    format!("arn:aws:ecr:eu-west-1:111122223333:repository/{pattern}")
}

/// Allows two pull actions on `team-a/*` to the principals, which are written as in a policy's `AWS` list.
fn pull(principals: &[&str]) -> Statement {
    Statement {
        effect: Effect::Allow,
        principals: principals.iter().map(|text| Principal::aws(text, aws())).collect(),
        actions: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"].map(Action::new).into(),
        resources: [arn("team-a/*")].into(),
        conditions: Shared::default(),
    }
}

impl Statement {
    fn service(mut self, name: &str) -> Self {
        self.principals.insert(Principal::Service(name.to_owned()));
        self
    }

    fn deny(self) -> Self {
        Self { effect: Effect::Deny, ..self }
    }

    fn actions(self, actions: &[&str]) -> Self {
        Self { actions: actions.iter().copied().map(Action::new).collect(), ..self }
    }

    fn on(self, patterns: &[&str]) -> Self {
        Self { resources: patterns.iter().map(|pattern| arn(pattern)).collect(), ..self }
    }

    fn resource(self, text: &str) -> Self {
        Self { resources: [text.to_owned()].into(), ..self }
    }

    fn when(mut self, operator: &str, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.conditions.insert(ConditionKey::new(operator, key), values);
        self
    }
}

/// Any statement the type can hold that grants something, small enough that generated ones often meet.
fn any_statement() -> impl Strategy<Value = Statement> {
    let principal = prop_oneof![
        Just(Principal::Everyone),
        prop::sample::select(vec![
            "111111111111",
            "222222222222",
            "arn:aws:iam::111111111111:role/Puller",
            "arn:aws-cn:iam::111111111111:root",
            "AROAEXAMPLEID",
        ])
        .prop_map(|text| Principal::aws(text, aws())),
        prop::sample::select(vec!["codebuild.amazonaws.com", "lambda.amazonaws.com"])
            .prop_map(|name| Principal::Service(name.to_owned())),
    ];
    let action =
        prop::sample::select(vec!["ecr:BatchGetImage", "ECR:batchgetimage", "ecr:PutImage", "ecr:Foo", "ecr:fOO"]);
    let resource = prop::sample::select(vec!["*", "team-a*", "team-a/*", "team-a/app", "team-ab", "b\"\\\u{1}ö"]);
    let condition = (
        prop::sample::select(vec!["StringEquals", "StringNotEquals", "ArnLike"]),
        prop::sample::select(vec!["aws:PrincipalOrgID", "aws:principalorgid", "aws:SourceAccount"]),
        prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned), 0..3),
    );
    (
        prop::bool::weighted(0.8),
        prop::collection::btree_set(principal, 1..4),
        prop::collection::btree_set(action.prop_map(Action::new), 1..3),
        prop::collection::btree_set(resource.prop_map(arn), 0..3),
        prop::collection::vec(condition, 0..3),
    )
        .prop_map(|(allow, principals, actions, resources, conditions)| Statement {
            effect: if allow { Effect::Allow } else { Effect::Deny },
            principals: principals.into(),
            actions: actions.into(),
            resources: resources.into(),
            conditions: conditions.into_iter().map(|(op, key, values)| (ConditionKey::new(op, key), values)).collect(),
        })
}
