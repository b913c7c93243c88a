//! The parameters of a request, read and checked (aws-facts A.3, field limits).

use std::collections::BTreeMap;

use crate::world::error::AwsError;

/// A request's parameters.
pub(super) struct Form {
    parameters: BTreeMap<String, String>,
}

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self { parameters: form_urlencoded::parse(body).into_owned().collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that must be there, of so many characters.
    pub(super) fn text(&self, name: &str, length: std::ops::RangeInclusive<usize>) -> Result<String, AwsError> {
        self.optional_text(name, length)?
            .ok_or_else(|| AwsError::broken_constraint(&member(name), "null", "Member must not be null"))
    }

    /// A parameter that may be there.
    pub(super) fn optional_text(
        &self,
        name: &str,
        length: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<String>, AwsError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        if !length.contains(&value.chars().count()) {
            let constraint = format!("Member must have length between {} and {}", length.start(), length.end());
            return Err(AwsError::broken_constraint(&member(name), &format!("'{value}'"), &constraint));
        }
        Ok(Some(value.to_owned()))
    }

    pub(super) fn role_name(&self) -> Result<String, AwsError> {
        self.name("RoleName", 64)
    }

    pub(super) fn policy_name(&self) -> Result<String, AwsError> {
        self.name("PolicyName", 128)
    }

    fn name(&self, name: &str, most: usize) -> Result<String, AwsError> {
        let value = self.text(name, 1..=most)?;
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
            return Err(AwsError::broken_constraint(
                &member(name),
                &format!("'{value}'"),
                "Member must satisfy regular expression pattern: [\\w+=,.@-]+",
            ));
        }
        Ok(value)
    }

    /// The IAM path; `/` if absent.
    pub(super) fn path(&self) -> Result<String, AwsError> {
        let path = self.optional_text("Path", 1..=512)?.unwrap_or_else(|| "/".to_owned());
        let is_good = path.starts_with('/') && path.ends_with('/') && path.chars().all(|c| ('!'..='~').contains(&c));
        if is_good {
            return Ok(path);
        }
        let constraint = "Member must satisfy regular expression pattern: (\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)";
        Err(AwsError::broken_constraint("path", &format!("'{path}'"), constraint))
    }

    /// A document as the wire lets it through; its real limits come later.
    pub(super) fn document(&self, name: &str) -> Result<String, AwsError> {
        let text = self.text(name, 1..=131_072)?;
        if text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
            return Ok(text);
        }
        let constraint = "Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+";
        Err(AwsError::broken_constraint(&member(name), "of the document", constraint))
    }

    /// How long sessions of a role may last, in seconds.
    pub(super) fn session_duration(&self) -> Result<Option<u32>, AwsError> {
        let Some(text) = self.get("MaxSessionDuration") else {
            return Ok(None);
        };
        let seconds = text.parse().ok().filter(|seconds| (3_600..=43_200).contains(seconds));
        let constraint = "Member must have value between 3600 and 43200";
        let refused = || AwsError::broken_constraint("maxSessionDuration", &format!("'{text}'"), constraint);
        seconds.map(Some).ok_or_else(refused)
    }

    /// `NAME.member.1`, `NAME.member.2` … with what stands below each.
    pub(super) fn list(&self, name: &str, below: &str) -> Vec<Option<&str>> {
        let keys = (1..).map(|index| format!("{name}.member.{index}"));
        let is_there = |key: &String| {
            let below_it = format!("{key}.");
            self.parameters.keys().any(|k| k == key || k.starts_with(&below_it))
        };
        keys.take_while(is_there).map(|key| self.get(&format!("{key}{below}"))).collect()
    }
}

/// A parameter as errors name it: with a small letter at its start.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}
