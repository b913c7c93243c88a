//! What happens to the operator, scenario by scenario.

mod aws_reads;
mod crash;
mod current;
mod iam_client;
mod installations;
mod ledger;
mod random;
mod world;

mod accounts;
mod backoff;
mod caches;
mod confirmed;
mod consent;
mod corners;
mod deletion;
mod due;
mod freshness;
mod left;
mod lifecycle;
mod limits;
mod observe;
mod other_hands;
mod outlines;
mod owners;
mod reach;
mod rejected;
mod roles;
mod scope;
mod shares;
