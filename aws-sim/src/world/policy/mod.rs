//! What ECR does with a registry policy: accepts or refuses it (`accept`), gives it back changed (`render`), and
//! decides requests by it (`evaluate`).

pub(crate) mod accept;
pub(crate) mod actions;
pub(crate) mod condition;
pub(crate) mod evaluate;
pub(crate) mod principal;
pub(crate) mod render;

use serde_json::Value;

/// A scalar or a list, as a list.
pub(crate) fn as_list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// The statements of a document: one object or a list.
pub(crate) fn statements(document: &Value) -> Vec<&Value> {
    document.get("Statement").map_or_else(Vec::new, as_list)
}

/// `*` and `?`, as in actions, resources and the Like operators.
pub(crate) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                // The last star takes one character more.
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn stars_and_question_marks_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab*ab", "abab", true),
            ("repository/team-*", "repository/team-a/b", true),
            ("repository/team-*", "repository/teama", false),
            ("", "x", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }
}
