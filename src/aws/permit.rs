//! The one way out for a write: whoever holds a permit has proven the account, in this pass, is allowed by the Registry's
//! management, and has waited for its turn. Leadership is checked once more where the request leaves (`guard`).

use ecr_permissions_core::reason::{Because, Reason};

use super::ecr::AccountProof;
use super::gate::Lane;
use super::session::Proven;

/// Leave to write one document or one thing of one registry once.
#[derive(Debug)]
pub struct Permit {
    _proof: AccountProof,
}

impl Permit {
    /// For a document: waits for the registry's turn. A restraint (Observe, suspended) is a refusal.
    pub async fn obtain(
        proven: &Proven,
        proof: &AccountProof,
        restraint: Option<&Because>,
        lane: Lane,
    ) -> Result<Self, Because> {
        Self::after(proven.session.gate.document(lane), proven, proof, restraint).await
    }

    /// The same for one thing, such as a rule.
    pub async fn for_thing(
        proven: &Proven,
        proof: &AccountProof,
        restraint: Option<&Because>,
        lane: Lane,
    ) -> Result<Self, Because> {
        Self::after(proven.session.gate.thing(lane), proven, proof, restraint).await
    }

    /// The same for one write of IAM: waits for the account's turn.
    pub async fn for_role(
        proven: &Proven,
        proof: &AccountProof,
        restraint: Option<&Because>,
        lane: Lane,
    ) -> Result<Self, Because> {
        Self::after(proven.session.iam_gate.thing(lane), proven, proof, restraint).await
    }

    async fn after(
        turn: impl Future<Output = ()>,
        proven: &Proven,
        proof: &AccountProof,
        restraint: Option<&Because>,
    ) -> Result<Self, Because> {
        if let Some(because) = restraint {
            return Err(because.clone());
        }
        turn.await;
        // Another registry with the same role may have let go of what the proof was given for.
        if proof.generation != proven.session.credentials.generation() {
            let message = "The credentials were obtained anew; whose they are is asked before anything is written.";
            return Err(Because::new(Reason::CredentialsRefused, message));
        }
        Ok(Self { _proof: proof.clone() })
    }
}
