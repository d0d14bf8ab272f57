//! Choices of a genesis file as command lines ask for them: the same words wherever a network is made.

use carat_types::genesis::{Trust, Visibility};
use clap::ValueEnum;

/// How far validators trust each other.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TrustChoice {
    /// Up to f validators may lie
    Bft,
    /// Validators only crash
    Crash,
}

impl From<TrustChoice> for Trust {
    fn from(choice: TrustChoice) -> Trust {
        match choice {
            TrustChoice::Bft => Trust::Bft,
            TrustChoice::Crash => Trust::Crash,
        }
    }
}

/// Who reads what.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum VisibilityChoice {
    /// Everybody who reaches a node reads everything
    Open,
    /// Only who has logged in, and of records only those that concern it
    Members,
}

impl From<VisibilityChoice> for Visibility {
    fn from(choice: VisibilityChoice) -> Visibility {
        match choice {
            VisibilityChoice::Open => Visibility::Open,
            VisibilityChoice::Members => Visibility::Members,
        }
    }
}
