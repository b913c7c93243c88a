//! The pure half of a pass: who is attached (`index`), what each may have (`compile`), what AWS has of it (`standing`),
//! what would be written (`plan`), and what everybody learns (`judge`). It decides everything and does nothing.

pub mod answers;
pub mod backoff;
pub mod bisect;
pub mod cache_rules;
pub mod claims;
mod collection;
pub mod compile;
pub mod conditions;
pub mod due;
pub mod freshness;
pub mod holds;
pub mod index;
pub mod judge;
pub mod ledger;
pub mod memory;
pub mod objects;
pub mod orphans;
pub mod plan;
pub mod queue;
pub mod reading;
pub mod refusals;
pub mod rejected;
pub mod roles;
pub mod scope;
pub mod shared_installation;
pub mod standing;
pub mod steps;
pub mod suspects;
pub mod turns;

pub use collection::Change;

#[cfg(test)]
mod tests;
