//! AWS refused the document and does not say why: whose addition is it? Everything that is accepted on the way stays,
//! and nothing that stood is missing at any moment.

use ecr_permissions_core::pass::bisect::Bisect;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::policy::Statement;
use ecr_permissions_core::reason::{Because, Reason};

use super::{Policy, Sent, Unknown, Writing};

impl Writing<'_> {
    /// Finds whoever adds what AWS refuses, and leaves only their additions out.
    pub(super) async fn find_culprits(&mut self, policy: &mut Policy) -> Sent {
        let plan = self.plan(policy, None);
        let suspects: Vec<_> = plan
            .admitted
            .iter()
            .filter_map(|i| plan.growth.get(*i))
            .map(|growth| (growth.id.clone(), self.wanted(&growth.id)))
            .collect();
        let mut bisect = Bisect::after_refusal(suspects.len());
        while let Some(probe) = bisect.next_probe() {
            self.look_again();
            let ids: Vec<_> = probe.iter().filter_map(|i| suspects.get(*i)).map(|(id, _)| id.clone()).collect();
            match self.put(policy, Some(&ids)).await {
                Sent::Accepted => bisect.answer(true),
                Sent::Refused => bisect.answer(false),
                failed @ Sent::Failed(..) => return failed,
            }
        }
        let found = bisect.finish();
        if found.standing_refused || suspects.is_empty() {
            let message = "AWS does not take the registry policy even as it stands there: statements of others in it are refused. Nothing is written until somebody puts them right in AWS.";
            return Sent::Failed(Because::new(Reason::ForeignRefused, message), Unknown(false));
        }
        let now = self.op.clock.now();
        for (id, wanted) in found.culprits.iter().filter_map(|i| suspects.get(*i)) {
            // What was asked for when the search began: an edit since then has not been refused.
            self.memory.refuse(id, wanted, now);
        }
        for (id, _) in found.accepted.iter().filter_map(|i| suspects.get(*i)) {
            self.memory.forgive(id);
        }
        self.decide_anew();
        Sent::Accepted
    }

    fn wanted(&self, id: &ObjectId) -> Vec<Statement> {
        let contribution = self.desired.contributions.iter().find(|c| c.id == *id);
        contribution.and_then(|c| c.wanted.clone()).unwrap_or_default()
    }

    /// A search takes seconds: what was revoked or edited meanwhile must not be written by it.
    fn look_again(&mut self) {
        let key = &self.gathered.key;
        let newer = self.op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(key)));
        if let Some(newer) = newer {
            *self.gathered = newer;
            self.decide_anew();
        }
    }
}
