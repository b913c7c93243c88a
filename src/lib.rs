//! The operator: watches the objects, runs the passes, calls AWS. What decides is in `ecr_permissions_core`.

pub mod aws;
pub mod cli;
pub mod kube;
mod pass;
pub mod runtime;
