//! What one watch knows of its own age: when it has to ask, when it is proven, and when it has to list.

use super::{ASKED_AFTER, ASKED_AFTER_BOOKMARK, BOOKMARKS_EVERY, CAUGHT_UP_WITHIN, LISTED_EVERY, Now, Revision};

/// What a view needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Do {
    /// All of it, anew.
    List,
    /// The revision of etcd: a quorum list of one item has it.
    Ask,
}

#[derive(Clone, Debug)]
pub struct View {
    /// Everything up to here was shown; nothing, as long as revisions are no numbers.
    reached: Option<Revision>,
    asked: Option<Asked>,
    listing: Option<Listing>,
    /// Nothing but a list is good enough.
    must_list: bool,
    ask_at: Now,
    /// A list that was not answered is not asked for before.
    list_again_at: Now,
    /// A view that only lacks a proof is not listed before.
    next_list_at: Now,
}

/// A question that the view has to catch up with.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When it was asked first: it may have to be asked again.
    since: Now,
    sent: Now,
    /// What the watch had shown by then: etcd is never behind that.
    shown: Option<Revision>,
    answer: Option<Revision>,
    /// It was not answered, and is asked again then.
    again_at: Option<Now>,
}

#[derive(Clone, Copy, Debug)]
struct Listing {
    began: Now,
    shown: Option<Revision>,
    was_must: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            reached: None,
            asked: None,
            listing: None,
            must_list: true,
            ask_at: Now::ZERO,
            list_again_at: Now::ZERO,
            next_list_at: Now::ZERO,
        }
    }
}

impl View {
    pub fn reached(&self) -> Option<Revision> {
        self.reached
    }

    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// What is to be done next, and when; nothing, while it waits for answers alone.
    pub fn next(&self) -> Option<(Now, Do)> {
        let list = self.list_at().map(|at| (at, Do::List));
        let ask = self.question_at().map(|at| (at, Do::Ask));
        list.into_iter().chain(ask).min()
    }

    fn list_at(&self) -> Option<Now> {
        if self.listing.is_some() {
            return None;
        }
        if self.must_list {
            return Some(self.list_again_at);
        }
        let not_before = self.next_list_at.max(self.list_again_at);
        match self.asked {
            Some(asked) => Some(not_before.max(asked.since + CAUGHT_UP_WITHIN)),
            // Of revisions that cannot be compared nothing is proven but by a list.
            None => self.reached.is_none().then_some(not_before),
        }
    }

    fn question_at(&self) -> Option<Now> {
        self.reached?;
        match self.asked {
            None => Some(self.ask_at),
            Some(asked) => asked.again_at,
        }
    }

    /// The question goes out.
    pub fn asks(&mut self, now: Now) {
        let since = self.asked.map_or(now, |asked| asked.since);
        self.asked = Some(Asked { since, sent: now, shown: self.reached, answer: None, again_at: None });
    }

    /// It was answered. Says of when the view is, if that is proven.
    pub fn answered(&mut self, revision: Option<Revision>) -> Option<Now> {
        let asked = self.asked.as_mut()?;
        if is_before(revision, asked.shown) {
            // Another past was put in the place of the one that was shown: the watch would wait for it to catch up.
            self.must_list = true;
            self.asked = None;
            return None;
        }
        asked.answer = revision;
        self.prove()
    }

    /// It was not answered, and is asked again then.
    pub fn unanswered(&mut self, again_at: Now) {
        if let Some(asked) = &mut self.asked {
            asked.again_at = Some(again_at);
        }
    }

    /// The watch has shown everything up to here. Says of when the view is, if that is proven now.
    pub fn reaches(&mut self, revision: Option<Revision>) -> Option<Now> {
        self.reached = revision.max(self.reached);
        self.prove()
    }

    /// The same by a bookmark. As another comes a minute later, a question that is due soon is asked shortly before it.
    pub fn reaches_by_bookmark(&mut self, revision: Option<Revision>, now: Now) -> Option<Now> {
        let proven = self.reaches(revision);
        if self.ask_at <= now + BOOKMARKS_EVERY {
            self.ask_at = self.ask_at.min(now + ASKED_AFTER_BOOKMARK);
        }
        proven
    }

    fn prove(&mut self) -> Option<Now> {
        let asked = self.asked.filter(|asked| asked.answer.is_some() && asked.answer <= self.reached)?;
        self.asked = None;
        self.ask_at = asked.sent + ASKED_AFTER;
        Some(asked.sent)
    }

    /// A list begins.
    pub fn lists(&mut self, now: Now) {
        self.next_list_at = now + LISTED_EVERY;
        let was_must = std::mem::take(&mut self.must_list);
        self.listing = Some(Listing { began: now, shown: self.reached, was_must });
    }

    /// It is complete, and of this revision. Says of when the view is.
    pub fn listed(&mut self, revision: Option<Revision>) -> Option<Now> {
        let Listing { began, shown, .. } = self.listing.take()?;
        let is_another_past = is_before(revision, shown) || revision.is_none();
        self.reached = if is_another_past { revision } else { revision.max(self.reached) };
        self.asked = None;
        self.ask_at = began + ASKED_AFTER;
        Some(began)
    }

    /// It did not come to an end, and is begun again then at the earliest.
    pub fn not_listed(&mut self, again_at: Now) {
        if let Some(listing) = self.listing.take() {
            self.must_list |= listing.was_must;
        }
        self.list_again_at = again_at;
        self.next_list_at = again_at;
    }

    /// The watch cannot go on from where it stands.
    pub fn expired(&mut self, again_at: Now) {
        self.must_list = true;
        self.list_again_at = self.list_again_at.max(again_at);
    }

    /// Nothing is believed before it was listed anew, by a list that begins from now on.
    pub fn doubt(&mut self) {
        self.must_list = true;
    }
}

fn is_before(revision: Option<Revision>, shown: Option<Revision>) -> bool {
    revision.zip(shown).is_some_and(|(revision, shown)| revision < shown)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn at(minutes: u64, seconds: u64) -> Now {
        Duration::from_secs(minutes * 60 + seconds)
    }

    fn revision(number: u64) -> Option<Revision> {
        number.to_string().parse().ok()
    }

    /// A view that was listed at 0, at revision 10.
    fn listed() -> View {
        let mut view = View::default();
        assert_eq!(view.next(), Some((Now::ZERO, Do::List)));
        view.lists(Now::ZERO);
        assert_eq!(view.next(), None, "it waits for the list alone");
        assert_eq!(view.listed(revision(10)), Some(Now::ZERO));
        view
    }

    /// The same, asked at 2 minutes.
    fn asked() -> View {
        let mut view = listed();
        assert_eq!(view.next(), Some((at(2, 0), Do::Ask)));
        view.asks(at(2, 0));
        view
    }

    #[test]
    fn a_view_is_proven_once_it_has_reached_what_it_was_asked_for() {
        let mut view = asked();
        assert_eq!(view.answered(revision(20)), None);
        assert_eq!(view.reaches(revision(19)), None, "that something comes proves nothing");
        assert_eq!(view.reaches(revision(20)), Some(at(2, 0)), "it is of when it was asked, not of when that came");
        assert_eq!(view.next(), Some((at(4, 0), Do::Ask)));
    }

    #[test]
    fn a_view_that_is_ahead_of_the_answer_is_proven_by_it() {
        let mut view = asked();
        assert_eq!(view.reaches(revision(21)), None, "nothing was answered yet");
        assert_eq!(view.answered(revision(20)), Some(at(2, 0)));
    }

    #[test]
    fn old_bookmarks_prove_nothing_and_after_a_minute_it_is_listed_anew() {
        let mut view = asked();
        assert_eq!(view.answered(revision(20)), None);
        for minute in 2..5 {
            assert_eq!(view.reaches_by_bookmark(revision(10), at(minute, 30)), None);
        }
        assert_eq!(view.next(), Some((at(5, 0), Do::List)), "not sooner than five minutes after the last");
        view.lists(at(5, 0));
        assert_eq!(view.listed(revision(20)), Some(at(5, 0)));
        assert_eq!(view.next(), Some((at(7, 0), Do::Ask)));
    }

    #[test]
    fn a_view_that_was_listed_long_ago_is_listed_a_minute_after_it_was_asked() {
        let mut view = asked();
        assert_eq!(view.answered(revision(10)), Some(at(2, 0)));
        view.asks(at(4, 30));
        assert_eq!(view.answered(revision(11)), None);
        assert_eq!(view.next(), Some((at(5, 30), Do::List)));
    }

    #[test]
    fn a_question_comes_shortly_before_the_next_bookmark() {
        let mut view = listed();
        assert_eq!(view.reaches_by_bookmark(revision(10), at(0, 50)), None);
        assert_eq!(view.next(), Some((at(2, 0), Do::Ask)), "another bookmark comes before");
        view.reaches_by_bookmark(revision(10), at(1, 0));
        assert_eq!(view.next(), Some((at(1, 45), Do::Ask)));
    }

    #[test]
    fn a_question_that_is_not_answered_is_asked_again_and_the_minute_counts_from_the_first() {
        let mut view = asked();
        assert_eq!(view.next(), Some((at(5, 0), Do::List)), "while it is on its way it is not asked again");
        view.unanswered(at(2, 10));
        assert_eq!(view.next(), Some((at(2, 10), Do::Ask)));
        view.asks(at(2, 10));
        assert_eq!(view.reaches(revision(30)), None);
        assert_eq!(view.answered(revision(30)), Some(at(2, 10)));
        view.asks(at(6, 0));
        view.unanswered(at(6, 10));
        view.asks(at(6, 10));
        assert_eq!(view.next(), Some((at(7, 0), Do::List)));
    }

    #[test]
    fn a_list_that_fails_is_begun_again_when_its_time_has_come() {
        let mut view = asked();
        view.lists(at(5, 0));
        view.not_listed(at(5, 20));
        assert_eq!(view.next(), Some((at(5, 20), Do::List)), "nothing was listed");
        view.expired(at(5, 25));
        assert_eq!(view.next(), Some((at(5, 25), Do::List)));
        view.lists(at(5, 25));
        view.not_listed(at(5, 40));
        assert_eq!(view.next(), Some((at(5, 40), Do::List)), "the watch still cannot go on without it");
    }

    #[test]
    fn a_revision_that_goes_back_is_another_past() {
        let mut view = listed();
        view.reaches(revision(50));
        view.asks(at(2, 0));
        assert_eq!(view.answered(revision(40)), None);
        assert_eq!(view.next(), Some((Now::ZERO, Do::List)), "at once");
        view.lists(at(2, 1));
        assert_eq!(view.listed(revision(41)), Some(at(2, 1)));
        assert_eq!(view.reached(), revision(41));
    }

    #[test]
    fn a_list_takes_nothing_back_of_what_the_watch_has_shown_meanwhile() {
        let mut view = asked();
        view.lists(at(5, 0));
        view.reaches(revision(70));
        view.listed(revision(60));
        assert_eq!(view.reached(), revision(70));
    }

    #[test]
    fn revisions_that_are_no_numbers_are_proven_by_lists_alone() {
        let mut view = View::default();
        view.lists(Now::ZERO);
        assert_eq!(view.listed(None), Some(Now::ZERO));
        assert_eq!(view.next(), Some((at(5, 0), Do::List)));
        view.lists(at(5, 0));
        view.listed(None);
        assert_eq!(view.next(), Some((at(10, 0), Do::List)));
    }

    #[test]
    fn who_is_doubted_while_it_lists_lists_once_more() {
        let mut view = listed();
        view.lists(at(5, 0));
        view.doubt();
        view.listed(revision(11));
        assert_eq!(view.next(), Some((Now::ZERO, Do::List)));
    }
}
