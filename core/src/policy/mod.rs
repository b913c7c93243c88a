//! The IAM policy language as ECR speaks it, in two halves that never mix.
//!
//! *Ours* are [`Statement`]s: typed, in normal form, equal exactly when they grant the same. *Theirs* are
//! [`Stored`] statements in a [`Document`]: somebody else's JSON, kept as it is and never re-typed. [`merge()`] puts
//! the one into the other, [`fit()`] measures what would be sent, [`equivalent`] compares meaning, [`lint()`] says
//! what must not be granted. Nothing here asks AWS, knows whose a statement is, or decides what is wanted.
#![warn(missing_docs)]

pub mod action;
mod canonical;
pub mod compact;
pub(crate) mod digest;
pub mod document;
pub mod equality;
pub mod fit;
pub mod joined;
mod json;
pub mod lint;
pub mod merge;
mod normal;
pub mod overlap;
mod read;
mod shared;
pub mod shorten;
mod statement;

pub use action::{Action, KnownAction, is_dormant_under_v1, is_enforced_under_v1};
pub use canonical::Malformed;
pub use compact::{atoms, compact, covers, same};
pub use document::{Doc, Document, Stored, Unreadable};
pub use equality::{Flavour, equivalent};
pub use fit::{Fitting, REGISTRY_POLICY_LIMIT, TooLarge, fit};
pub use joined::Joined;
pub use lint::{Finding, lint};
pub use merge::merge;
pub use overlap::{intersect, is_pattern_within};
pub use shared::Shared;
pub use statement::{ConditionKey, Effect, Principal, Statement};

#[cfg(test)]
mod tests;
