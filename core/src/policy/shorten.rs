//! The shorter of two texts that say the same: AWS answers an account id as a root ARN, 19 characters longer than what was
//! sent, and takes either (aws-facts C.3). Nothing else of a foreign statement is touched.

use super::document::{Document, Stored};
use super::json;
use super::statement::root_account;
use crate::names::Partition;

impl Document {
    /// The same with the root ARNs of the own partition as account ids, wherever a statement allows or denies them.
    #[must_use]
    pub fn shortened(&self, partition: Partition) -> Self {
        let mut document = self.clone();
        for stored in &mut document.statements {
            *stored = stored.shortened(partition);
        }
        document
    }
}

impl Stored {
    fn shortened(&self, partition: Partition) -> Self {
        let Some(members) = json::members(self.raw()) else { return self.clone() };
        let shorten = |key: &str, value: &str| match json::name_of(key).as_str() {
            "Principal" => principals(value, partition),
            _ => None,
        };
        let is_shorter = members.iter().any(|(key, value)| shorten(key.get(), value.get()).is_some());
        if !is_shorter {
            return self.clone();
        }
        let member =
            |key: &str, value: &str| format!("{key}:{}", shorten(key, value).unwrap_or_else(|| value.to_owned()));
        let members: Vec<_> = members.iter().map(|(key, value)| member(key.get(), value.get())).collect();
        self.with_raw(format!("{{{}}}", members.join(",")))
    }
}

/// The value of `Principal` with ids in its `AWS`; nothing, if there is nothing to shorten.
fn principals(value: &str, partition: Partition) -> Option<String> {
    let kinds = json::members(value)?;
    let shorten = |key: &str, value: &str| if json::name_of(key) == "AWS" { ids(value, partition) } else { None };
    kinds.iter().find_map(|(key, value)| shorten(key.get(), value.get()))?;
    let kind = |key: &str, value: &str| format!("{key}:{}", shorten(key, value).unwrap_or_else(|| value.to_owned()));
    let kinds: Vec<_> = kinds.iter().map(|(key, value)| kind(key.get(), value.get())).collect();
    Some(format!("{{{}}}", kinds.join(",")))
}

/// One principal, or a list of them.
fn ids(value: &str, partition: Partition) -> Option<String> {
    let id = |value: &str| {
        let text: String = serde_json::from_str(value).ok()?;
        let (_, account) = root_account(&text).filter(|(of, _)| *of == partition.as_str())?;
        Some(json::quote(account))
    };
    let Some(items) = json::items(value) else { return id(value) };
    items.iter().find_map(|item| id(item.get()))?;
    let items: Vec<_> = items.iter().map(|item| id(item.get()).unwrap_or_else(|| item.get().to_owned())).collect();
    Some(format!("[{}]", items.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(text: &str) -> String {
        Document::parse(text).unwrap().shortened(Partition::AWS).to_text()
    }

    #[test]
    fn root_arns_of_the_own_partition_become_ids_and_nothing_else_changes() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::222222222222:role/x","arn:aws-cn:iam::333333333333:root"],"Service":"x.amazonaws.com"},"Action":"ecr:BatchGetImage","Resource":"arn:aws:iam::111111111111:root","Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:root"}}},{"Effect":"Deny","Principal":"*","Action":"ecr:*"},{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::444444444444:root"},"Action":"a:b"},{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::555555555555:root"},"Action":"a:b"}]}"#;
        let expected = text
            .replacen(r#""arn:aws:iam::111111111111:root","arn:aws:iam::2"#, r#""111111111111","arn:aws:iam::2"#, 1)
            .replace(r#"{"AWS":"arn:aws:iam::555555555555:root"}"#, r#"{"AWS":"555555555555"}"#);
        assert_eq!(shortened(text), expected);
        assert_eq!(shortened(&expected), expected);
    }

    /// What is shortened means the same, by the comparison that everything else goes by.
    #[test]
    fn what_is_shortened_has_the_same_fingerprint() {
        let text = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","*"]},"Action":"a:b"}}"#;
        let before = Document::parse(text).unwrap();
        let prints = |document: &Document| -> Vec<_> {
            document.statements().iter().map(|stored| stored.fingerprint(Partition::AWS)).collect()
        };
        assert_eq!(prints(&before), prints(&before.shortened(Partition::AWS)));
    }
}
