//! Members of a request, read and checked (aws-facts A.0, patterns and sizes).

use serde_json::Value;

use super::EcrCall;
use crate::world::cache_rule::ROOT;
use crate::world::error::AwsError;

/// As the model writes it.
const REPOSITORY_NAME: &str = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*";

impl EcrCall<'_> {
    /// A text that must be there.
    pub(super) fn text(&self, member: &str) -> Result<String, AwsError> {
        self.optional_text(member)?.ok_or_else(|| AwsError::invalid_parameter(member, "must not be null"))
    }

    /// A text that may be there.
    pub(super) fn optional_text(&self, member: &str) -> Result<Option<String>, AwsError> {
        match self.input.get(member) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(AwsError::new(400, "SerializationException", format!("{member} is not a string"))),
        }
    }

    /// A switch; absent: off.
    pub(super) fn flag(&self, member: &str) -> bool {
        self.input.get(member).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list of 1 to 100 texts that may be there.
    pub(super) fn names(&self, member: &str) -> Result<Option<Vec<String>>, AwsError> {
        let Some(value) = self.input.get(member).filter(|v| !v.is_null()) else {
            return Ok(None);
        };
        let texts = value.as_array().map(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let Some(Some(texts)) = texts else {
            return Err(AwsError::new(400, "SerializationException", format!("{member} is not a list of strings")));
        };
        if texts.is_empty() || texts.len() > 100 {
            return Err(AwsError::invalid_parameter(member, "Member must have length between 1 and 100"));
        }
        Ok(Some(texts.into_iter().map(str::to_owned).collect()))
    }

    /// The name of a repository.
    pub(super) fn repository_name(&self) -> Result<String, AwsError> {
        let name = self.text("repositoryName")?;
        if !(2..=256).contains(&name.chars().count()) {
            return Err(AwsError::invalid_parameter("repositoryName", "Member must have length between 2 and 256"));
        }
        if !is_path(&name) {
            let constraint = format!("must satisfy regular expression '{REPOSITORY_NAME}'");
            return Err(AwsError::invalid_parameter("repositoryName", &constraint));
        }
        Ok(name)
    }

    /// A prefix of a rule, ours or the upstream's: 2 to 30 characters, `ROOT` or a path with or without a slash at its
    /// end.
    pub(super) fn check_prefix(member: &str, prefix: &str) -> Result<(), AwsError> {
        if !(2..=30).contains(&prefix.chars().count()) {
            return Err(AwsError::invalid_parameter(member, "Member must have length between 2 and 30"));
        }
        if prefix != ROOT && !is_path(prefix.strip_suffix('/').unwrap_or(prefix)) {
            let constraint = format!("must satisfy regular expression '^({REPOSITORY_NAME}\\/?|ROOT)$'");
            return Err(AwsError::invalid_parameter(member, &constraint));
        }
        Ok(())
    }
}

/// Components between slashes.
fn is_path(text: &str) -> bool {
    text.split('/').all(is_component)
}

/// Lower-case letters and digits, in groups that one dot, one or two underscores or any number of hyphens part.
fn is_component(text: &str) -> bool {
    let is_group = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(is_group).filter(|s| !s.is_empty());
    let is_separator = |s: &str| matches!(s, "." | "_" | "__") || s.chars().all(|c| c == '-');
    text.starts_with(is_group) && text.ends_with(is_group) && separators.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::super::EcrCall;
    use super::is_path;

    /// aws-facts A.0.
    #[test]
    fn names_are_paths_of_lower_case_groups() {
        for good in ["ab", "a.b", "a_b", "a__b", "a---b", "team-a/app", "a1/b2/c3", "0"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "A", "a..b", "a___b", "a-", "-a", "a/", "/a", "a//b", "a._b", "a b", "ä", "a.-b"] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn prefixes_may_end_in_a_slash_or_be_the_root() {
        for good in ["ROOT", "ab", "team-a/", "a/b", &"a".repeat(30)] {
            assert!(EcrCall::check_prefix("p", good).is_ok(), "{good}");
        }
        for bad in ["a", "Root", "team-", "ROOT/", "a//", "/", &"a".repeat(31)] {
            assert!(EcrCall::check_prefix("p", bad).is_err(), "{bad}");
        }
    }
}
