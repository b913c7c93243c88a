//! The two protocols, and which of the services is meant: what a request asks for and who signed it, and how an answer is written. Signatures are not
//! verified: a caller is whoever its access key id says.

use std::collections::BTreeSet;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::{Value, json};

use super::error::{AwsError, Protocol};

/// The prefix of ECR's `x-amz-target` (aws-facts A.0).
const ECR_TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.";
/// The prefix of Secrets Manager's.
const SECRETS_TARGET: &str = "secretsmanager.";
/// IAM's version of the query protocol; STS has the other.
const IAM_VERSION: &str = "2010-05-08";
/// What the record says of IAM's Region: it has one endpoint for all. Whatever Region a caller signs for is taken, since
/// clients that are given an endpoint sign for their own.
const IAM_REGION: &str = "aws-global";

/// A request, read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) protocol: Protocol,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) region: String,
    pub(crate) credential: Result<Credential, AwsError>,
    pub(crate) body: Bytes,
}

/// From the SigV4 header.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    pub(crate) token: Option<String>,
}

/// `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
struct Scope {
    key_id: String,
    region: String,
    service: String,
}

/// Reads a request as far as its protocol goes; what is wrong with its signature stands in `credential`.
pub(crate) fn read(request: Request<Bytes>) -> Asked {
    let (parts, body) = request.into_parts();
    let target = header(&parts.headers, "x-amz-target");
    let protocol = if is_form(&parts.headers) && target.is_none() { Protocol::Query } else { Protocol::Json };
    let operation = match (&target, protocol) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        (None, Protocol::Query) => form_value(&body, "Action").unwrap_or_default(),
        (None, Protocol::Json) => String::new(),
    };
    let expected = match (protocol, &target) {
        (Protocol::Json, Some(target)) if target.starts_with(SECRETS_TARGET) => "secretsmanager",
        (Protocol::Json, _) => "ecr",
        (Protocol::Query, _) if form_value(&body, "Version").as_deref() == Some(IAM_VERSION) => "iam",
        (Protocol::Query, _) => "sts",
    };
    let scope = authorization(&parts.headers, protocol);
    let region = scope.as_ref().map_or_else(|_| String::new(), |s| s.region.clone());
    let region = if expected == "iam" { IAM_REGION.to_owned() } else { region };
    let known_target = target.is_none_or(|t| t.starts_with(ECR_TARGET) || t.starts_with(SECRETS_TARGET));
    let operation = if known_target { operation } else { format!("{operation} (foreign target)") };
    let credential = scope.and_then(|s| {
        if s.service != expected {
            return Err(protocol.wrong_service(expected));
        }
        Ok(Credential { key_id: s.key_id, token: header(&parts.headers, "x-amz-security-token") })
    });
    Asked { protocol, service: expected.to_owned(), operation, region, credential, body }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

fn is_form(headers: &HeaderMap) -> bool {
    header(headers, "content-type").is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"))
}

fn authorization(headers: &HeaderMap, protocol: Protocol) -> Result<Scope, AwsError> {
    let text = header(headers, "authorization").ok_or_else(Protocol::missing_token)?;
    let credential = text
        .strip_prefix("AWS4-HMAC-SHA256")
        .and_then(|rest| rest.split(',').find_map(|part| part.trim().strip_prefix("Credential=")))
        .ok_or_else(|| protocol.incomplete_signature())?;
    let parts: Vec<&str> = credential.split('/').collect();
    match parts.as_slice() {
        [key_id, _date, region, service, "aws4_request"] => {
            Ok(Scope { key_id: (*key_id).to_owned(), region: (*region).to_owned(), service: (*service).to_owned() })
        }
        _ => Err(protocol.incomplete_signature()),
    }
}

/// One parameter of a query request; the first if it is repeated.
pub(crate) fn form_value(body: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A JSON answer.
pub(crate) fn json_answer(value: &Value, request_id: &str) -> Response<Bytes> {
    answer(200, "application/x-amz-json-1.1", value.to_string(), request_id)
}

/// An XML answer: `result` is the inner XML of `<OperationResult>`, which some operations do without.
pub(crate) fn xml_answer(asked: &Asked, result: Option<&str>, request_id: &str) -> Response<Bytes> {
    let (operation, namespace) = (&asked.operation, namespace(&asked.service));
    let result = result.map(|inner| format!("<{operation}Result>{inner}</{operation}Result>")).unwrap_or_default();
    let text = format!(
        "<{operation}Response xmlns=\"{namespace}\">{result}\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    answer(200, "text/xml", text, request_id)
}

fn namespace(service: &str) -> &'static str {
    if service == "iam" {
        "https://iam.amazonaws.com/doc/2010-05-08/"
    } else {
        "https://sts.amazonaws.com/doc/2011-06-15/"
    }
}

/// A refusal, in the protocol of the request and the spelling of its service.
pub(crate) fn refusal(asked: &Asked, error: &AwsError, request_id: &str) -> Response<Bytes> {
    match asked.protocol {
        Protocol::Json => {
            let member = if asked.service == "secretsmanager" { "Message" } else { "message" };
            let text = json!({"__type": error.code, member: error.message}).to_string();
            answer(error.status, "application/x-amz-json-1.1", text, request_id)
        }
        Protocol::Query => {
            let kind = if error.status >= 500 { "Receiver" } else { "Sender" };
            let namespace = namespace(&asked.service);
            let text = format!(
                "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{}</Code>\
                 <Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                escape(&error.code),
                escape(&error.message)
            );
            answer(error.status, "text/xml", text, request_id)
        }
    }
}

/// The answer with AWS's date on it.
pub(crate) fn dated(mut response: Response<Bytes>, date: SystemTime) -> Response<Bytes> {
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(date)) {
        response.headers_mut().insert(http::header::DATE, date);
    }
    response
}

/// Takes members out of an answer, wherever they stand in it.
pub(crate) fn omit(value: &mut Value, members: &BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            object.retain(|member, _| !members.contains(member));
            object.values_mut().for_each(|value| omit(value, members));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| omit(value, members)),
        _ => {}
    }
}

fn answer(status: u16, content_type: &str, text: String, request_id: &str) -> Response<Bytes> {
    let built = Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("x-amzn-requestid", request_id)
        .body(Bytes::from(text));
    // A control may ask for a status that is none; the caller then sees a plain 200 rather than a crash.
    built.unwrap_or_default()
}

/// Text as XML content.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
        out
    })
}
