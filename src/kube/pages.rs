//! A complete list, a page at a time: what is held at once is one page, however many objects there are. Every API server
//! lists so. Lists are quorum reads: a cache of the API server may be of the past, and what is missing from a list is missing
//! to us.

use std::time::Duration;

use ::kube::api::{ListParams, Request};
use ::kube::{Client, Resource};
use futures::Stream;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Objects of the first page.
const FIRST: u32 = 25;
const FEWEST: u32 = 5;
const MOST: u32 = 1000;
/// A page that is expected to stay below this is made larger.
const BYTES: usize = 1024 * 1024;
/// How long one request may take.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Api(#[from] Box<::kube::Error>),
    #[error("the API server does not answer")]
    Unanswered,
}

impl Failure {
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api(error) => match error.as_ref() {
                ::kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Unanswered => None,
        }
    }
}

impl From<::kube::Error> for Failure {
    fn from(error: ::kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Objects as they came: each is read by itself, and given away before the next.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Box<RawValue>>,
    /// Of the whole list.
    pub(super) revision: String,
    pub(super) is_last: bool,
}

/// The list of a kind.
pub(super) fn pages<R: Resource<DynamicType = ()>>(
    client: Client,
) -> impl Stream<Item = Result<Page, Failure>> + Send + use<R> {
    let next = (client, Some((None, FIRST)));
    futures::stream::try_unfold(next, |(client, next)| async move {
        let Some((token, limit)) = next else { return Ok(None) };
        let (page, token, bytes) = page::<R>(&client, token, limit).await?;
        let next = token.map(|token| (Some(token), next_limit(limit, bytes)));
        Ok(Some((page, (client, next))))
    })
}

async fn page<R: Resource<DynamicType = ()>>(
    client: &Client,
    token: Option<String>,
    limit: u32,
) -> Result<(Page, Option<String>, usize), Failure> {
    #[derive(Deserialize)]
    struct Listed {
        metadata: ListMeta,
        #[serde(default)]
        items: Option<Vec<Box<RawValue>>>,
    }
    let params = ListParams { limit: Some(limit), continue_token: token, ..ListParams::default() };
    let request = Request::new(R::url_path(&(), None));
    let request = if R::metadata_api() { request.list_metadata(&params) } else { request.list(&params) };
    let text = answered(client, request).await?;
    let Listed { metadata, items } = serde_json::from_str(&text).map_err(::kube::Error::SerdeError)?;
    let token = metadata.continue_.filter(|token| !token.is_empty());
    let revision = metadata.resource_version.unwrap_or_default();
    let page = Page { items: items.unwrap_or_default(), revision, is_last: token.is_none() };
    Ok((page, token, text.len()))
}

/// The revision of etcd, by a list of one object.
pub(super) async fn revision<R: Resource<DynamicType = ()>>(client: Client) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Listed {
        metadata: ListMeta,
    }
    let params = ListParams::default().limit(1);
    let text = answered(&client, Request::new(R::url_path(&(), None)).list_metadata(&params)).await?;
    let listed: Listed = serde_json::from_str(&text).map_err(::kube::Error::SerdeError)?;
    Ok(listed.metadata.resource_version.unwrap_or_default())
}

async fn answered(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, ::kube::core::request::Error>,
) -> Result<String, Failure> {
    let request = request.map_err(::kube::Error::BuildRequest)?;
    let answer = tokio::time::timeout(ANSWERED_WITHIN, client.request_text(request)).await;
    Ok(answer.map_err(|_| Failure::Unanswered)??)
}

/// How many objects to ask for after a page of this many bytes.
fn next_limit(limit: u32, bytes: usize) -> u32 {
    match bytes {
        _ if bytes.saturating_mul(2) <= BYTES => (limit * 2).min(MOST),
        _ if bytes > BYTES => (limit / 2).max(FEWEST),
        _ => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_while_they_stay_small_and_shrink_where_they_are_large() {
        let after = |limit: u32, each: usize| next_limit(limit, limit as usize * each);
        assert_eq!(after(25, 1000), 50);
        assert_eq!(after(400, 1000), 800);
        assert_eq!(after(800, 1000), 800, "twice as many would be too large");
        assert_eq!(after(1000, 10), 1000);
        assert_eq!(after(25, 1_500_000), 12);
        assert_eq!(after(5, 1_500_000), 5);
    }
}
