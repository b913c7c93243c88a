//! AWS refused the document and does not say why: whose addition is it? First whose namespace's, so that all others have
//! theirs after a few writes; then, in each of those, which object's, in writes of its own and over several passes.
//! Everything that is accepted on the way stays, and nothing that stood is missing at any moment.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::pass::bisect::Bisect;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::suspects::Search;
use ecr_permissions_core::policy::Statement;
use ecr_permissions_core::reason::{Because, Reason};

use super::{Policy, Sent, Unknown, Writing};

/// How a search came to a halt.
enum Halt {
    Ended,
    /// The pass has taken long enough, or the namespace's time has not come.
    Later,
    Failed(Sent),
}

impl Writing<'_> {
    /// Objects of namespaces that are searched: they grow in writes of their own.
    pub(super) fn suspected(&self, growing: &[ObjectId]) -> BTreeSet<ObjectId> {
        growing.iter().filter(|id| self.memory.suspects.contains(&id.namespace)).cloned().collect()
    }

    /// Writes what may grow: everybody's at once, and after it what may be refused.
    pub(super) async fn put_all(&mut self, policy: &mut Policy) -> Sent {
        match self.put_back(policy).await {
            Sent::Accepted => {}
            failed => return failed,
        }
        let growing = self.growing(policy);
        let suspected = self.suspected(&growing);
        let first: Vec<_> = growing.iter().filter(|id| !suspected.contains(id)).cloned().collect();
        let sent =
            if suspected.is_empty() { self.put(policy, None).await } else { self.put_these(policy, &first).await };
        let sent = match sent {
            Sent::Refused => self.find_namespaces(policy, &first).await,
            other => other,
        };
        match sent {
            Sent::Accepted => self.search_namespaces(policy).await,
            other => other,
        }
    }

    /// Puts back principals that were left out so that something could be taken away, for as long as the pass lasts: what
    /// AWS refuses stays out.
    async fn put_back(&mut self, policy: &mut Policy) -> Sent {
        let news = self.memory.rejected.take_news();
        if !news.is_empty() {
            let who: Vec<_> = news.iter().map(ToString::to_string).collect();
            self.op.events.rejected(&self.gathered.registry, &who.join(", ")).await;
        }
        while self.may_put_back() {
            if self.is_over() {
                self.again = Some(super::Again::Soon);
                break;
            }
            if !self.memory.rejected.put_back(self.op.clock.now()) {
                break;
            }
            let sent = self.put(policy, Some(&[])).await;
            let (patience, now) = (self.memory.patience, self.op.clock.now());
            match sent {
                Sent::Accepted => self.memory.rejected.answer(true, &patience, now),
                Sent::Refused => self.memory.rejected.answer(false, &patience, now),
                Sent::Failed(..) => {
                    self.memory.rejected.unanswered();
                    return sent;
                }
            }
        }
        Sent::Accepted
    }

    /// Whether somebody is to be put back, and what the watches show is young enough for that.
    pub(super) fn may_put_back(&self) -> bool {
        self.memory.rejected.is_open(self.op.clock.now()) && !self.desired.holds.are_any()
    }

    fn growing(&mut self, policy: &Policy) -> Vec<ObjectId> {
        let plan = self.plan(policy, None);
        plan.admitted.iter().filter_map(|i| plan.growth.get(*i)).map(|growth| growth.id.clone()).collect()
    }

    /// As [`Writing::put`], but asks nothing of AWS where nothing is to be written.
    async fn put_these(&mut self, policy: &mut Policy, ids: &[ObjectId]) -> Sent {
        if ids.is_empty() {
            let plan = self.plan_to_write(policy, Some(&[]));
            if plan.compose(&[]).is_ok_and(|composition| plan.is_done(&composition)) {
                return Sent::Accepted;
            }
        }
        self.put(policy, Some(ids)).await
    }

    /// Finds the namespaces that add what AWS refuses; everybody else has theirs afterwards.
    async fn find_namespaces(&mut self, policy: &mut Policy, first: &[ObjectId]) -> Sent {
        let mut by_namespace = BTreeMap::<&str, Vec<ObjectId>>::new();
        for id in first {
            by_namespace.entry(&id.namespace).or_default().push(id.clone());
        }
        let units: Vec<_> = by_namespace.values().cloned().collect();
        let mut bisect = Bisect::after_refusal(units.len());
        match self.search(policy, &units, &mut bisect, None).await {
            Halt::Failed(sent) => return sent,
            // What was not tried yet is, in the next pass: nobody is suspected for it.
            Halt::Later => self.again = Some(super::Again::Soon),
            Halt::Ended => {}
        }
        let found = bisect.finish();
        if found.standing_refused || units.is_empty() {
            return refused_as_it_stands();
        }
        let namespaces: Vec<_> = by_namespace.into_keys().collect();
        for namespace in found.culprits.iter().filter_map(|i| namespaces.get(*i)) {
            self.memory.suspects.refused(namespace, self.op.clock.now());
        }
        Sent::Accepted
    }

    /// Searches in every suspected namespace for as long as the pass lasts, those first that have waited longest.
    async fn search_namespaces(&mut self, policy: &mut Policy) -> Sent {
        for namespace in self.memory.suspects.in_turn() {
            let growing = self.growing(policy);
            let mut growing = growing.into_iter().filter(|id| id.namespace == namespace);
            let search = self.memory.suspects.take_search(&namespace).unwrap_or_else(|| {
                let ids: Vec<_> = growing.by_ref().collect();
                let bisect = Bisect::on_what_stands(ids.len());
                Search { ids, bisect }
            });
            if let Some(failed) = self.search_in(policy, &namespace, search).await {
                return failed;
            }
        }
        Sent::Accepted
    }

    /// The search in one namespace, until it has ended or the pass has; the answer is what ends the whole write.
    async fn search_in(&mut self, policy: &mut Policy, namespace: &str, search: Search) -> Option<Sent> {
        let Search { ids, mut bisect } = search;
        let units: Vec<_> = ids.iter().map(|id| vec![id.clone()]).collect();
        // What was asked for when the search began: an edit since then has not been refused.
        let wanted: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), self.wanted(id))).collect();
        match self.search(policy, &units, &mut bisect, Some(namespace)).await {
            Halt::Failed(sent) => {
                self.memory.suspects.keep_search(namespace, Search { ids, bisect });
                return Some(sent);
            }
            Halt::Later => {
                self.await_search(&ids);
                self.memory.suspects.keep_search(namespace, Search { ids, bisect });
                self.again = Some(super::Again::Soon);
                return None;
            }
            Halt::Ended => {}
        }
        let found = bisect.finish();
        let now = self.op.clock.now();
        for id in found.culprits.iter().filter_map(|i| ids.get(*i)) {
            self.memory.refuse(id, wanted.get(id).map(Vec::as_slice).unwrap_or_default(), now);
        }
        for id in found.accepted.iter().filter_map(|i| ids.get(*i)) {
            self.memory.forgive(id);
        }
        self.memory.suspects.ended(namespace);
        self.decide_anew();
        None
    }

    /// Asks AWS for one set of additions after another, until whose fault it is is known, or the time is up.
    async fn search(
        &mut self,
        policy: &mut Policy,
        units: &[Vec<ObjectId>],
        bisect: &mut Bisect,
        namespace: Option<&str>,
    ) -> Halt {
        while let Some(probe) = bisect.next_probe() {
            let may_write = namespace.is_none_or(|of| self.memory.suspects.may_write(of, self.op.clock.now()));
            if self.is_over() || !may_write {
                return Halt::Later;
            }
            let ids: Vec<_> = probe.iter().filter_map(|i| units.get(*i)).flatten().cloned().collect();
            let sent = self.put(policy, Some(&ids)).await;
            let now = self.op.clock.now();
            match (sent, namespace) {
                (Sent::Accepted, namespace) => {
                    bisect.answer(true);
                    if let Some(namespace) = namespace.filter(|_| !ids.is_empty()) {
                        self.memory.suspects.accepted(namespace);
                    }
                }
                (Sent::Refused, namespace) => {
                    bisect.answer(false);
                    if let Some(namespace) = namespace {
                        self.memory.suspects.refused(namespace, now);
                    }
                }
                (failed, _) => return Halt::Failed(failed),
            }
        }
        Halt::Ended
    }

    /// Nothing of a namespace in quarantine grows before its time: nor is it put on record.
    pub(super) fn await_quarantined(&mut self, policy: &Policy) {
        if self.memory.suspects.is_empty() {
            return;
        }
        let (now, growing) = (self.op.clock.now(), self.growing(policy));
        let waits = |id: &ObjectId| !self.memory.suspects.may_write(&id.namespace, now);
        self.searched.extend(growing.into_iter().filter(waits));
    }

    /// Nothing of these grows in this pass: whose addition AWS refuses is still searched among them.
    pub(super) fn await_search(&mut self, ids: &[ObjectId]) {
        self.searched.extend(ids.iter().cloned());
    }

    fn wanted(&self, id: &ObjectId) -> Vec<Statement> {
        let contribution = self.desired.contributions.iter().find(|c| c.id == *id);
        contribution.and_then(|c| c.wanted.clone()).unwrap_or_default()
    }

    /// Decides anew, if anything has changed since it was decided on.
    pub(super) fn look_again(&mut self) {
        let key = &self.gathered.key;
        let seen = self.op.with_index(|index| index.changes());
        if self.seen == seen {
            return;
        }
        let newer = self.op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(key)));
        if let Some(newer) = newer {
            *self.gathered = newer;
            self.seen = seen;
            self.decide_anew();
        }
    }
}

/// What an object is told of whose namespace something is refused, and nobody knows yet whether it is its own.
pub(super) fn searched() -> Because {
    let message = "AWS refuses the registry policy with what objects of the namespace ask for; whose that is is being looked for, and the object's own follows.";
    Because::new(Reason::Progressing, message)
}

fn refused_as_it_stands() -> Sent {
    Sent::Failed(foreign_refused(), Unknown(false))
}

pub(in crate::pass) fn foreign_refused() -> Because {
    let message = "AWS does not take the registry policy even as it stands there: statements of others in it are refused. Nothing is written until somebody puts them right in AWS.";
    Because::new(Reason::ForeignRefused, message)
}
