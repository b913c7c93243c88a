//! What happens to the operator, scenario by scenario.

mod consent;
mod limits;
mod owners;
