//! Documents that mean the same in other words: a generator of policies, and everything that AWS (aws-facts B.5) or a
//! person (behaviour 1) may do to the text of one without changing what it says.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

/// A small deterministic source of choices, so that a failing case repeats.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
        items
    }

    fn any_case(&mut self, text: &str) -> String {
        text.chars().map(|c| if self.coin() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
    }

    fn space(&mut self) -> &'static str {
        ["", "", " ", "\n  ", "\t", "\r\n"][self.below(6)]
    }

    fn text(&mut self, text: &str) -> String {
        let quoted = json!(text).to_string();
        // Any character may also be written as an escape.
        if self.coin() { quoted.replace('r', "\\u0072") } else { quoted }
    }

    fn list(&mut self, items: Vec<String>) -> String {
        let items = self.shuffled(items);
        self.join('[', &items, ']')
    }

    fn object(&mut self, members: Vec<(String, String)>) -> String {
        let members: Vec<_> = self.shuffled(members);
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("{}{}:{}{value}", self.text(name), self.space(), self.space()))
            .collect();
        self.join('{', &members, '}')
    }

    fn join(&mut self, open: char, parts: &[String], close: char) -> String {
        let mut text = String::from(open);
        for (i, part) in parts.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(text, "{comma}{}{part}{}", self.space(), self.space()).unwrap();
        }
        text.push(close);
        text
    }

    /// A set of texts: any order, with duplicates, one element perhaps without its list.
    fn set(&mut self, entries: &Value, spell: impl Fn(&mut Self, &str) -> String) -> String {
        let entries = entries.as_array().unwrap();
        let mut spelled: Vec<_> = entries.iter().map(|entry| spell(self, entry.as_str().unwrap())).collect();
        if spelled.len() == 1 && self.coin() {
            return spelled.remove(0);
        }
        if let Some(entry) = entries.first()
            && self.coin()
        {
            spelled.push(spell(self, entry.as_str().unwrap()));
        }
        self.list(spelled)
    }

    fn principal(&mut self, kinds: &Value) -> String {
        let kinds = kinds.as_object().unwrap();
        if kinds.len() == 1 && kinds.get("AWS") == Some(&json!(["*"])) && self.coin() {
            return r#""*""#.to_owned();
        }
        let entry = |dice: &mut Self, text: &str| {
            let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
            let root = format!("arn:aws:iam::{text}:root");
            dice.text(if is_account && dice.clone().coin() { &root } else { text })
        };
        let members = kinds.iter().map(|(kind, entries)| (kind.clone(), self.set(entries, entry))).collect();
        self.object(members)
    }

    fn condition(&mut self, operators: &Value) -> String {
        let unquoted = |dice: &mut Self, text: &str| {
            let bare = matches!(text, "true" | "false") || text.parse::<u32>().is_ok();
            if bare && dice.coin() { text.to_owned() } else { dice.text(text) }
        };
        let mut members = Vec::new();
        for (operator, keys) in operators.as_object().unwrap() {
            let keys = keys.as_object().unwrap().iter();
            let keys: Vec<_> = keys.map(|(key, values)| (self.any_case(key), self.set(values, unquoted))).collect();
            members.push((operator.clone(), self.object(keys)));
        }
        self.object(members)
    }

    fn statement(&mut self, statement: &Value) -> String {
        let mut members = Vec::new();
        for (name, value) in statement.as_object().unwrap() {
            let spelled = match name.as_str() {
                "Effect" => {
                    let text = self.any_case(value.as_str().unwrap());
                    self.text(&text)
                }
                "Action" | "NotAction" => self.set(value, |dice, text| {
                    let text = dice.any_case(text);
                    dice.text(&text)
                }),
                "Resource" => self.set(value, Self::text),
                "Principal" | "NotPrincipal" => self.principal(value),
                "Condition" => self.condition(value),
                _ => value.to_string(),
            };
            members.push((name.clone(), spelled));
        }
        if !statement.as_object().unwrap().contains_key("Condition") && self.coin() {
            members.push(("Condition".to_owned(), "{}".to_owned()));
        }
        self.object(members)
    }

    /// The same policy in other words.
    pub(super) fn respell(&mut self, policy: &Value) -> String {
        let mut members = Vec::new();
        for (name, value) in policy.as_object().unwrap() {
            match (name.as_str(), value) {
                ("Version", Value::String(version)) if version == "2008-10-17" && self.coin() => {}
                ("Statement", Value::Array(statements)) => {
                    let mut spelled: Vec<_> = statements.iter().map(|statement| self.statement(statement)).collect();
                    if let Some(twice) = statements.first()
                        && self.coin()
                    {
                        spelled.push(self.statement(twice));
                    }
                    let single = spelled.len() == 1 && self.coin();
                    let value = if single { spelled.remove(0) } else { self.list(spelled) };
                    members.push((name.clone(), value));
                }
                _ => members.push((name.clone(), value.to_string())),
            }
        }
        self.object(members)
    }
}

fn subset(from: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::subsequence(from, 1..=from.len().min(3)).prop_map(|texts| json!(texts))
}

/// One foreign statement: every member this language knows, and one it does not.
fn any_foreign() -> impl Strategy<Value = Value> {
    let aws = subset(&["*", "111111111111", "222222222222", "arn:aws:iam::333333333333:role/R", "AROAEXAMPLE"]);
    let services = subset(&["ecr.amazonaws.com", "lambda.amazonaws.com"]);
    let principal = prop_oneof![
        aws.prop_map(|entries| json!({ "AWS": entries })),
        services.prop_map(|entries| json!({ "Service": entries })),
        Just(json!({"AWS": ["111111111111"], "Service": ["ecr.amazonaws.com"]})),
    ];
    let condition = prop_oneof![
        Just(json!({"Bool": {"aws:SecureTransport": ["true"]}})),
        Just(json!({"NumericEquals": {"aws:Age": ["100", "200"]}, "StringEquals": {"aws:SourceAccount": []}})),
        Just(json!({"StringLike": {"aws:PrincipalArn": ["arn:aws:iam::*:role/${aws:username}"], "ecr:x": ["1"]}})),
    ];
    let sid = prop::option::of(prop::sample::select(vec!["Theirs", "allow-pull through", "Ecp"]));
    let actions = subset(&["ecr:*", "ecr:BatchGetImage", "ecr:PutImage", "s3:GetObject"]);
    let resources = prop::option::of(subset(&["*", "arn:aws:ecr:eu-west-1:111111111111:repository/Aé\"*", "x"]));
    let odd = prop::option::weighted(0.2, Just(json!({"a": [1, {"b": null}]})));
    (sid, any::<bool>(), principal, actions, resources, prop::option::of(condition), odd, any::<(bool, bool)>())
        .prop_map(|(sid, allow, principal, actions, resources, condition, odd, (not_principal, not_action))| {
            let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }});
            statement[if not_principal && !allow { "NotPrincipal" } else { "Principal" }] = principal;
            statement[if not_action && !allow { "NotAction" } else { "Action" }] = actions;
            let optional =
                [("Sid", sid.map(Value::from)), ("Resource", resources), ("Condition", condition), ("Odd", odd)];
            for (name, value) in optional {
                if let Some(value) = value {
                    statement[name] = value;
                }
            }
            statement
        })
}

/// A whole policy, to be spelled by [`Dice::respell`].
pub(super) fn any_policy() -> impl Strategy<Value = Value> {
    let version = prop::sample::select(vec!["2008-10-17", "2012-10-17"]);
    (version, prop::option::of("[a-z]{1,8}"), prop::collection::vec(any_foreign(), 0..5)).prop_map(
        |(version, id, statements)| {
            let mut policy = json!({"Version": version, "Statement": statements});
            if let Some(id) = id {
                policy["Id"] = json!(id);
            }
            policy
        },
    )
}

/// Makes one change that matters.
pub(super) fn change(policy: &Value, dice: &mut Dice) -> Value {
    let mut changed = policy.clone();
    let statements = changed["Statement"].as_array_mut().unwrap();
    let kind = dice.below(5);
    if statements.is_empty() || kind == 4 {
        statements.push(
            json!({"Sid": "Another", "Effect": "Deny", "Principal": {"AWS": ["999999999999"]}, "Action": ["ecr:Z"]}),
        );
        return changed;
    }
    let at = dice.below(statements.len());
    let statement = &mut statements[at];
    match kind {
        0 => statement["Sid"] = json!("Changed"),
        1 => statement["Effect"] = json!(if statement["Effect"] == "Allow" { "Deny" } else { "Allow" }),
        2 => statement["Principal"] = json!({"AWS": ["arn:aws-cn:iam::111111111111:root"]}),
        _ => statement["Resource"] = json!(["changed"]),
    }
    changed
}
