//! What runs a process: the clock, leadership, the driver of passes, the admin server and telemetry.

pub mod admin;
pub mod clock;
pub mod leader;
pub mod metrics;
pub mod operator;
pub mod pace;
pub mod telemetry;
