//! Roles by which a cache pulls from other accounts: made, granted to and removed, in two registries at once
//! (behaviours 26–30).

mod adopting;
mod anew;
mod asked;
mod changing;
mod clusters;
mod consent;
mod crash;
mod external;
mod leaving;
mod limits;
mod lost;
mod making;
mod often;
mod orders;
mod reach;
mod restraint;
mod unknown;
mod vanished;
mod within;
mod words;

use std::time::Duration;

use aws_sim::{Fault, Outage, Role, Scope, Trust};
use serde_json::{Value, json};

use crate::lab::objects::{
    BOUNDARY, CACHES, REGISTRIES, ROLES, allow_all, cache_by_role, namespace, registry, role, with,
};
use crate::lab::{A, B, Lab, REGION, list, run};
use words::*;
