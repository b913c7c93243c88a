//! What keeps a registry from being added to for a while: nothing grows, nothing is put back, what is due goes.

use super::freshness::OldViews;
use crate::api::Kind;
use crate::reason::Because;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// The views that are not proven young.
    pub old: OldViews,
    /// Another cluster has this installation's id.
    pub shared: Option<Because>,
}

impl Holds {
    /// Why objects of a kind neither grow nor are repaired.
    pub fn of(&self, kind: Kind) -> Option<Because> {
        self.shared.clone().or_else(|| self.old.hold(kind))
    }

    /// Why nothing grows, whatever its kind.
    pub fn everything(&self) -> Option<Because> {
        self.shared.clone().or_else(|| self.old.hold_everything())
    }

    /// Whether some kind is held.
    pub fn are_any(&self) -> bool {
        self.shared.is_some() || self.old.message().is_some()
    }
}
