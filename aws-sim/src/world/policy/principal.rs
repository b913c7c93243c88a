//! The principals that a statement may name (aws-facts B.3).

use crate::world::identity::is_account_id;

/// An `AWS` principal, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Principal<'a> {
    Everyone,
    /// An account id, or its root ARN.
    Account(&'a str),
    /// A role or user ARN.
    Entity {
        account: &'a str,
    },
    /// An assumed-role session.
    Session {
        account: &'a str,
        role: &'a str,
    },
}

/// Parses an `AWS` principal in a partition. `None`: nothing that ECR takes: a group, a partial wildcard, an `AROA…`
/// id, an ARN of another partition.
pub(crate) fn parse<'a>(text: &'a str, partition: &str) -> Option<Principal<'a>> {
    if text == "*" {
        return Some(Principal::Everyone);
    }
    if is_account_id(text) {
        return Some(Principal::Account(text));
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", in_partition, service, "", account, resource] = parts.as_slice() else {
        return None;
    };
    if *in_partition != partition || !is_account_id(account) || text.contains(['*', '?', ' ']) {
        return None;
    }
    match (*service, resource.split_once('/')) {
        ("iam", None) if *resource == "root" => Some(Principal::Account(account)),
        ("iam", Some(("role" | "user", name))) if !name.is_empty() && !name.ends_with('/') => {
            Some(Principal::Entity { account })
        }
        ("sts", Some(("assumed-role", session))) => {
            let (role, session) = session.split_once('/')?;
            (!role.is_empty() && !session.is_empty()).then_some(Principal::Session { account, role })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Principal, parse};

    /// aws-facts B.3.
    #[test]
    fn accounts_roles_users_and_sessions_are_principals_and_nothing_else() {
        let account = "111111111111";
        let entity = Some(Principal::Entity { account });
        for (text, expected) in [
            ("*", Some(Principal::Everyone)),
            (account, Some(Principal::Account(account))),
            ("arn:aws:iam::111111111111:root", Some(Principal::Account(account))),
            ("arn:aws:iam::111111111111:role/path/r", entity),
            ("arn:aws:iam::111111111111:user/u", entity),
            ("arn:aws:sts::111111111111:assumed-role/r/s", Some(Principal::Session { account, role: "r" })),
            ("arn:aws:iam::111111111111:group/g", None),
            ("arn:aws:iam::111111111111:role/r*", None),
            ("arn:aws:iam::111111111111:*", None),
            ("arn:aws-cn:iam::111111111111:root", None),
            ("arn:aws:iam::11111111111:root", None),
            ("11111111111", None),
            ("AROAEXAMPLEEXAMPLE1", None),
            ("arn:aws:iam::111111111111:role/", None),
        ] {
            assert_eq!(parse(text, "aws"), expected, "{text}");
        }
    }
}
