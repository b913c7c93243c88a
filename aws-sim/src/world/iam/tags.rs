//! TagRole, UntagRole, ListRoleTags (aws-facts A.3): tags merge, and one bad tag fails the whole call.

use std::collections::BTreeMap;

use super::form::Form;
use super::{IamCall, invalid_input, limit_exceeded, xml};
use crate::world::error::AwsError;

const MOST: usize = 50;

pub(super) fn tag(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let wanted = wanted(&call.form)?;
    let role = call.own_role()?;
    let mut tags = role.tags.clone();
    // Keys ignore letter case: the new writing takes the old one's place.
    tags.retain(|key, _| !wanted.keys().any(|new| new.eq_ignore_ascii_case(key)));
    tags.extend(wanted);
    if tags.len() > MOST {
        return Err(limit_exceeded(format!("Cannot exceed quota for TagsPerRole: {MOST}")));
    }
    Ok(call.change(&role, |role| role.tags = tags))
}

/// Keys that are not there are no error.
pub(super) fn untag(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let keys: Vec<String> = call.form.list("TagKeys", "").into_iter().flatten().map(str::to_owned).collect();
    if keys.is_empty() || keys.len() > MOST {
        let constraint = format!("Member must have length between 1 and {MOST}");
        return Err(AwsError::broken_constraint("tagKeys", &format!("'{keys:?}'"), &constraint));
    }
    let role = call.own_role()?;
    Ok(call.change(&role, |role| role.tags.retain(|key, _| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)))))
}

pub(super) fn list(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.seen_role()?;
    call.page("Tags", role.tags.iter().map(|tag| (tag.0.clone(), xml::tag(tag))).collect()).map(Some)
}

/// The tags of a request, checked.
pub(super) fn wanted(form: &Form) -> Result<BTreeMap<String, String>, AwsError> {
    let (keys, values) = (form.list("Tags", ".Key"), form.list("Tags", ".Value"));
    if keys.len() > MOST {
        let constraint = format!("Member must have length less than or equal to {MOST}.");
        return Err(AwsError::broken_constraint("tags", &format!("of {} tags", keys.len()), &constraint));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in keys.into_iter().zip(values) {
        let (key, value) = (checked("key", key, 1..=128)?, checked("value", value, 0..=256)?);
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_input("Tag keys must not start with aws:, which is reserved for system use."));
        }
        if tags.keys().any(|k: &String| k.eq_ignore_ascii_case(&key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(invalid_input(message));
        }
        tags.insert(key, value);
    }
    Ok(tags)
}

fn checked(part: &str, text: Option<&str>, length: std::ops::RangeInclusive<usize>) -> Result<String, AwsError> {
    let member = format!("tags.1.member.{part}");
    let Some(text) = text else {
        return Err(AwsError::broken_constraint(&member, "null", "Member must not be null"));
    };
    let is_good = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    if length.contains(&text.chars().count()) && text.chars().all(is_good) {
        return Ok(text.to_owned());
    }
    let constraint = "Member must satisfy its length and pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]";
    Err(AwsError::broken_constraint(&member, &format!("'{text}'"), constraint))
}
