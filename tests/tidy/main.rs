//! The house rules that a machine can check: which crate may know which, and how files look.

mod dependencies;
mod files;
mod metrics;
mod settings;
