//! The simulated AWS, asked as a person would with curl: what stands in a registry's policy, who may do what, and what a
//! foreign hand changes. Nothing here is the operator's.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Done;
use crate::say::Say;

pub const REGION: &str = "eu-west-1";
const LIMIT: usize = 10_240;
/// The simulator answers in milliseconds, or it is not there any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether somebody may do something.
#[derive(Clone, Copy)]
pub struct Question {
    pub account: &'static str,
    /// An account, or an ARN.
    pub who: &'static str,
    pub action: &'static str,
    pub repository: &'static str,
}

impl Question {
    fn words(&self) -> String {
        let Self { account, who, action, repository } = self;
        let verb = match *action {
            "ecr:BatchGetImage" => "pull",
            "ecr:ReplicateImage" => "replicate into",
            other => other,
        };
        format!("May {who} {verb} {repository} of {account}?")
    }
}

pub struct Aws {
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Aws {
    /// The registry policy as it is stored.
    pub fn policy(&self, account: &str) -> Done<Option<Value>> {
        let answer = self.ask("policy", &json!({"account": account, "region": REGION}))?;
        answer["text"].as_str().map(serde_json::from_str).transpose().map_err(Into::into)
    }

    /// A foreign hand writes the policy: another tool, the console.
    pub fn put_policy(&self, account: &str, document: &Value) -> Done {
        self.ask("put_policy", &json!({"account": account, "region": REGION, "document": document})).map(drop)
    }

    /// What AWS would answer, and why.
    pub fn would(&self, question: &Question) -> Done<(bool, String)> {
        let Question { account, who, action, repository } = question;
        let asked =
            json!({"principal": who, "action": action, "repository": repository, "account": account, "region": REGION});
        let answer = self.ask("would", &asked)?;
        Ok((answer["allowed"] == true, answer["because"].as_str().unwrap_or_default().to_owned()))
    }

    /// Whether an image below a cache's prefix would be pulled, and why.
    pub fn would_pull_through(&self, question: &Question) -> Done<(bool, String)> {
        let Question { account, who, repository, .. } = question;
        let asked = json!({"puller": who, "repository": repository, "account": account, "region": REGION});
        let answer = self.ask("would_pull_through", &asked)?;
        Ok((answer["allowed"] == true, answer["because"].as_str().unwrap_or_default().to_owned()))
    }

    /// Somebody puts credentials into Secrets Manager.
    pub fn create_secret(&self, account: &str, name: &str) -> Done {
        self.ask("create_secret", &json!({"account": account, "region": REGION, "name": name})).map(drop)
    }

    /// How many calls there were, and how many of them wrote.
    pub fn calls(&self) -> Done<(usize, usize)> {
        let answer = self.ask("calls", &json!({}))?;
        let calls = answer["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok((calls.len(), calls.iter().filter(|call| call["is_write"] == true).count()))
    }

    /// Shows a registry's policy, a word beside each statement saying whose it is.
    pub fn show(&self, account: &str, installation: &str, say: &Say) -> Done {
        let Some(policy) = self.policy(account)? else {
            say.note(&format!("{account} has no registry policy."))?;
            return Ok(());
        };
        let length = policy.to_string().chars().count();
        say.note(&format!("The registry policy of {account} ({length} of {LIMIT} characters):"))?;
        for statement in statements(&policy) {
            let ours = is_ours(statement, installation);
            say.margin(if ours { "ours" } else { "FOREIGN" }, !ours, &lines(statement))?;
        }
        Ok(())
    }

    /// Asks, and shows question and answer.
    pub fn show_answer(&self, question: &Question, say: &Say) -> Done<bool> {
        show_answered(question, &self.would(question)?, say)
    }

    /// The same for an image that a cache has to fetch.
    pub fn show_pull_through(&self, question: &Question, say: &Say) -> Done<bool> {
        show_answered(question, &self.would_pull_through(question)?, say)
    }

    /// `POST /_sim/CONTROL`, over a connection of its own: one small client is less than a library.
    fn ask(&self, control: &str, fields: &Value) -> Done<Value> {
        let address = self.url.trim_start_matches("http://");
        let body = fields.to_string();
        let request = format!(
            "POST /_sim/{control} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(address, &request).map_err(|error| format!("the AWS simulator at {address}: {error}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the AWS simulator answered half an answer")?;
        if head.starts_with("HTTP/1.1 200") {
            Ok(serde_json::from_str(body)?)
        } else {
            Err(format!("the AWS simulator does not take {control} {fields}: {body}").into())
        }
    }
}

fn show_answered(question: &Question, (allowed, because): &(bool, String), say: &Say) -> Done<bool> {
    let answer = say.bold(if *allowed { "yes" } else { "no" });
    say.note(&format!("{} {answer}: {because}", question.words()))?;
    Ok(*allowed)
}

fn exchange(address: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The statements of a policy.
pub fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Those that this installation of the operator did not write, in order.
pub fn foreign(policy: Option<&Value>, installation: &str) -> Vec<Value> {
    let all = policy.map(statements).unwrap_or_default();
    all.iter().filter(|statement| !is_ours(statement, installation)).cloned().collect()
}

fn is_ours(statement: &Value, installation: &str) -> bool {
    let mark = format!("Ecp{installation}");
    !installation.is_empty() && statement["Sid"].as_str().is_some_and(|sid| sid.starts_with(&mark))
}

/// A statement, a line a member.
fn lines(statement: &Value) -> String {
    let members = statement.as_object().into_iter().flatten();
    members.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}
