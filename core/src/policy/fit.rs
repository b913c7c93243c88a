//! What is over its limit is never sent: only [`fit`] makes a [`Fitting`], and only a `Fitting` can be put.

use super::document::Document;
use crate::names::Partition;

/// The most characters AWS takes as the text of a registry or repository policy (aws-facts B.1).
pub const REGISTRY_POLICY_LIMIT: usize = 10_240;

/// A value and the text of it that is within its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting<T> {
    value: T,
    text: String,
    characters: usize,
}

impl<T> Fitting<T> {
    /// What is sent: exactly the text that was measured.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was measured.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The length of [`Fitting::text`], as AWS counts it.
    pub fn characters(&self) -> usize {
        self.characters
    }
}

/// A document that is over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy would have {characters} characters, AWS takes {limit}")]
pub struct TooLarge {
    /// What it has.
    pub characters: usize,
    /// What it may have.
    pub limit: usize,
}

/// Measures what would be sent: characters, not bytes. Where there is no room, account ids stand for root ARNs.
pub fn fit(document: Document, limit: usize, partition: Partition) -> Result<Fitting<Document>, TooLarge> {
    let measured = |document: Document| {
        let text = document.to_text();
        let characters = text.chars().count();
        Fitting { value: document, text, characters }
    };
    let mut fitting = measured(document);
    if fitting.characters > limit {
        fitting = measured(fitting.value.shortened(partition));
    }
    if fitting.characters > limit { Err(TooLarge { characters: fitting.characters, limit }) } else { Ok(fitting) }
}
