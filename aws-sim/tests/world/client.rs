//! Requests as a client signs them, and answers as it reads them.

use std::time::Duration;

use aws_sim::{Outcome, Reply, World};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

pub(crate) const A: &str = "111111111111";
pub(crate) const B: &str = "222222222222";
pub(crate) const REGION: &str = "eu-west-1";

/// The keys of one caller.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) token: Option<String>,
}

impl From<(String, String)> for Keys {
    fn from((id, _secret): (String, String)) -> Self {
        Self { id, token: None }
    }
}

/// An answer: status, code (empty if it went well), body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// A World with the accounts A and B, and root keys of each.
pub(crate) fn two_accounts() -> (World, Keys, Keys) {
    let mut world = World::new(7);
    world.add_account(A);
    world.add_account(B);
    let (a, b) = (world.access_key(A, "root").into(), world.access_key(B, "root").into());
    (world, a, b)
}

fn signed(keys: &Keys, region: &str, service: &str) -> http::request::Builder {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=00",
        keys.id
    );
    let builder = Request::post("/").header("authorization", authorization);
    keys.token.iter().fold(builder, |builder, token| builder.header("x-amz-security-token", token))
}

pub(crate) fn ecr(keys: &Keys, region: &str, operation: &str, input: &Value) -> Request<Bytes> {
    signed(keys, region, "ecr")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AmazonEC2ContainerRegistry_V20150921.{operation}"))
        .body(Bytes::from(input.to_string()))
        .unwrap()
}

pub(crate) fn secrets(keys: &Keys, region: &str, operation: &str, input: &Value) -> Request<Bytes> {
    signed(keys, region, "secretsmanager")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("secretsmanager.{operation}"))
        .body(Bytes::from(input.to_string()))
        .unwrap()
}

pub(crate) fn sts(keys: &Keys, operation: &str, input: &[(&str, &str)]) -> Request<Bytes> {
    query(signed(keys, "us-east-1", "sts"), operation, "2011-06-15", input)
}

pub(crate) fn iam(keys: &Keys, operation: &str, input: &[(&str, &str)]) -> Request<Bytes> {
    query(signed(keys, "us-east-1", "iam"), operation, "2010-05-08", input)
}

fn query(builder: http::request::Builder, operation: &str, version: &str, input: &[(&str, &str)]) -> Request<Bytes> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("Action", operation).append_pair("Version", version).extend_pairs(input);
    builder
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(body.finish()))
        .unwrap()
}

pub(crate) fn read(response: Response<Bytes>) -> Answer {
    let status = response.status().as_u16();
    let text = String::from_utf8(response.into_body().to_vec()).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let member = |name: &str| json[name].as_str().map(str::to_owned);
    let code = member("__type").or_else(|| xml(&text, "Code")).unwrap_or_default();
    let message = member("message").or_else(|| member("Message")).or_else(|| xml(&text, "Message")).unwrap_or_default();
    Answer { status, code, message, json, text }
}

/// A call to IAM that goes well: its XML.
pub(crate) fn in_iam(world: &mut World, keys: &Keys, operation: &str, input: &[(&str, &str)]) -> String {
    let answer = ask(world, iam(keys, operation, input));
    assert_eq!(answer.status, 200, "{operation} {input:?}: {}", answer.text);
    answer.text
}

/// A call to IAM that is refused: status, code, text.
pub(crate) fn iam_refuses(
    world: &mut World,
    keys: &Keys,
    operation: &str,
    input: &[(&str, &str)],
) -> (u16, String, String) {
    let answer = ask(world, iam(keys, operation, input));
    assert_ne!(answer.status, 200, "{operation} {input:?}");
    (answer.status, answer.code, answer.message.replace("&quot;", "\"").replace("&apos;", "'"))
}

/// A document as IAM returned it, decoded.
pub(crate) fn decoded(text: &str) -> String {
    let form = format!("x={}", text.replace('+', "%2B"));
    form_urlencoded::parse(form.as_bytes()).next().unwrap().1.into_owned()
}

/// The contents of all such elements.
pub(crate) fn all_xml(text: &str, element: &str) -> Vec<String> {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    text.split(&start).skip(1).map(|part| part.split(&end).next().unwrap().to_owned()).collect()
}

/// The content of the first such element.
pub(crate) fn xml(text: &str, element: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{element}>"))?;
    rest.split_once(&format!("</{element}>")).map(|(content, _)| content.to_owned())
}

/// A whole call at `World::now`, answered.
pub(crate) fn ask(world: &mut World, request: Request<Bytes>) -> Answer {
    match reply(world, request).outcome {
        Outcome::Response(response) => read(response),
        other => panic!("no answer but {other:?}"),
    }
}

pub(crate) fn reply(world: &mut World, request: Request<Bytes>) -> Reply {
    let now = world.now();
    world.handle(request, now)
}

/// A call to ECR, answered.
pub(crate) fn call(world: &mut World, keys: &Keys, operation: &str, input: &Value) -> Answer {
    ask(world, ecr(keys, REGION, operation, input))
}

/// A call that goes well: its members.
pub(crate) fn done(world: &mut World, keys: &Keys, operation: &str, input: &Value) -> Value {
    let answer = call(world, keys, operation, input);
    assert_eq!(answer.status, 200, "{operation} {input}: {}", answer.text);
    answer.json
}

/// A call that is refused: its code and text.
pub(crate) fn refused(world: &mut World, keys: &Keys, operation: &str, input: &Value) -> (String, String) {
    let answer = call(world, keys, operation, input);
    assert_eq!(answer.status, 400, "{operation} {input}: {}", answer.text);
    (answer.code, answer.message)
}

/// The members of a list by one of theirs.
pub(crate) fn column(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn get(world: &mut World, keys: &Keys) -> Answer {
    ask(world, ecr(keys, REGION, "GetRegistryPolicy", &json!({})))
}

pub(crate) fn put(world: &mut World, keys: &Keys, text: &str) -> Answer {
    ask(world, ecr(keys, REGION, "PutRegistryPolicy", &json!({"policyText": text})))
}

/// A policy that lets these principals do these actions everywhere.
pub(crate) fn policy(principals: &Value, actions: &Value) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "s", "Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions, "Resource": "*"}
        ],
    })
    .to_string()
}

/// Lets the account B replicate.
pub(crate) fn replication() -> String {
    policy(&json!(B), &json!("ecr:ReplicateImage"))
}

pub(crate) fn assume(world: &mut World, keys: &Keys, role: &str, more: &[(&str, &str)]) -> Answer {
    let mut input = vec![("RoleArn", role), ("RoleSessionName", "test")];
    input.extend_from_slice(more);
    ask(world, sts(keys, "AssumeRole", &input))
}

/// The keys that AssumeRole answered with.
pub(crate) fn minted(answer: &Answer) -> Keys {
    Keys { id: xml(&answer.text, "AccessKeyId").unwrap(), token: xml(&answer.text, "SessionToken") }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
