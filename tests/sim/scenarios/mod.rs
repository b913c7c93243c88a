//! What happens to the operator, scenario by scenario.

mod owners;
