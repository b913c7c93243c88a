//! Lists in pages: `MaxItems` 1 to 1,000, a hundred if absent, `IsTruncated` and a `Marker` (aws-facts A.3).

use super::IamCall;
use super::xml::{element, members};
use crate::world::error::AwsError;
use crate::world::token;

const DEFAULT: usize = 100;

impl IamCall<'_> {
    /// `<NAME>` with the members of the page that was asked for, of XML items in the order of their keys, and how to go
    /// on.
    pub(super) fn page(&self, name: &str, items: Vec<(String, String)>) -> Result<String, AwsError> {
        let size = self.page_size()?;
        let after = self.form.optional_text("Marker", 1..=usize::MAX)?.map(|text| read(&text)).transpose()?;
        let mut rest = items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let taken: Vec<_> = rest.by_ref().take(size).collect();
        let marker = rest.next().and_then(|_| taken.last()).map(|(key, _)| element("Marker", &token::write(key)));
        let members = members(taken.iter().map(|(_, item)| item.clone()));
        let is_truncated = marker.is_some();
        let marker = marker.unwrap_or_default();
        Ok(format!("<{name}>{members}</{name}><IsTruncated>{is_truncated}</IsTruncated>{marker}"))
    }

    fn page_size(&self) -> Result<usize, AwsError> {
        let Some(text) = self.form.get("MaxItems") else {
            return Ok(DEFAULT);
        };
        let constraint = "Member must have value between 1 and 1000";
        let refused = || AwsError::broken_constraint("maxItems", &format!("'{text}'"), constraint);
        text.parse().ok().filter(|size| (1..=1000).contains(size)).ok_or_else(refused)
    }
}

fn read(text: &str) -> Result<String, AwsError> {
    token::read(text).ok_or_else(|| AwsError::validation("Invalid Marker."))
}
