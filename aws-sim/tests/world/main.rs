//! The simulator's behaviour, as a caller sees it: requests in, answers out. A file per subject.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

mod cache_rule_refusals;
mod cache_rules;
mod client;
mod connector;
mod control_paths;
mod controls;
mod document;
mod faults;
mod iam_policies;
mod iam_propagation;
mod iam_roles;
mod iam_trust;
mod identity;
mod pull_through;
mod reads;
mod repositories;
mod repository_policies;
mod secrets;
mod settings;
mod socket;
mod validate;
mod would;
