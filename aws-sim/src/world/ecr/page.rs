//! Lists in pages: `maxResults` 1 to 1,000, a hundred if absent, and a `nextToken` that says where to go on.

use super::EcrCall;
use crate::world::error::AwsError;
use crate::world::token;

const DEFAULT: usize = 100;

/// One page, and the token of the next.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_token: Option<String>,
}

impl EcrCall<'_> {
    /// The page that was asked for, of items in the order of their keys.
    pub(super) fn page<T>(&self, items: Vec<(String, T)>) -> Result<Page<T>, AwsError> {
        let size = self.page_size()?.unwrap_or(DEFAULT);
        let after = self.optional_text("nextToken")?.map(|text| read(&text)).transpose()?;
        let mut rest = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let taken: Vec<_> = rest.by_ref().take(size).collect();
        let next_token = rest.next().and_then(|_| taken.last().map(|(key, _)| token::write(key)));
        Ok(Page { items: taken.into_iter().map(|(_, item)| item).collect(), next_token })
    }

    /// "This option cannot be used" with names, says the model of either list. What AWS does about it is unverified:
    /// here it is refused, so that nobody relies on it.
    pub(super) fn refuse_paging(&self) -> Result<(), AwsError> {
        for member in ["maxResults", "nextToken"] {
            if self.input.get(member).is_some_and(|v| !v.is_null()) {
                return Err(AwsError::invalid_parameter(member, "cannot be used together with names"));
            }
        }
        Ok(())
    }

    fn page_size(&self) -> Result<Option<usize>, AwsError> {
        let Some(value) = self.input.get("maxResults").filter(|v| !v.is_null()) else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=1000).contains(n));
        let refused = || AwsError::invalid_parameter("maxResults", "Member must have value between 1 and 1000");
        size.map(Some).ok_or_else(refused)
    }
}

fn read(text: &str) -> Result<String, AwsError> {
    token::read(text).ok_or_else(|| AwsError::invalid_parameter("nextToken", "Invalid token"))
}
