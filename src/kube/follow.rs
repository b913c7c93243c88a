//! One watch, for ever: a list, then everything that changes after it, and the questions by which it is known to be of now.
//! A watch that fails is opened again where it stood. While a list is under way the watch goes on: taking away waits for no
//! list.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ::kube::api::{WatchEvent as Line, WatchParams};
use ::kube::{Api, Client, Resource, ResourceExt};
use ecr_permissions_core::pass::freshness::{Do, Meanwhile, Proof, Revision, Store, View};
use ecr_permissions_core::pass::index::WatchEvent;
use futures::future::OptionFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::pages::{ANSWERED_WITHIN, Failure, Page, pages, revision};
use crate::runtime::clock::MachineClock;

/// The API server ends a watch after this; one on which nothing came for a little longer is dead.
const WATCHED_FOR: Duration = Duration::from_secs(290);
const SILENT_FOR: Duration = Duration::from_secs(295);
/// A watch that ended sooner than this after it was opened, without a word, has failed.
const SHORTEST: Duration = Duration::from_secs(1);
/// Pauses after failures: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));

/// What a watch says of one object, or of its list.
#[derive(Debug)]
pub(super) enum Shown<R> {
    Listing,
    Item(R),
    /// It has gone since the list was made.
    GoneSince(R),
    Listed,
    Changed(R),
    Gone(R),
}

/// What one watch is made of.
pub(super) struct Follower<R> {
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) machine: MachineClock,
    /// Changes when everything has to be listed anew.
    pub(super) doubts: watch::Receiver<u64>,
    pub(super) rng: fastrand::Rng,
    /// What it says, cut down to what is kept.
    pub(super) cut: Box<dyn Fn(Shown<R>) -> WatchEvent + Send>,
}

impl<R> Follower<R>
where
    R: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    /// Everything that it sees. The next is looked for once the last was taken in.
    pub(super) fn stream(self) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>> {
        let (outlet, mut taken) = mpsc::channel(1);
        let mut following = Box::pin(Following::new(self, outlet).run());
        Box::pin(futures::stream::poll_fn(move |context| {
            if let Poll::Ready(event) = taken.poll_recv(context) {
                return Poll::Ready(event);
            }
            match following.as_mut().poll(context) {
                Poll::Ready(never) => match never {},
                Poll::Pending => taken.poll_recv(context),
            }
        }))
    }
}

type Lines<R> = BoxStream<'static, Result<Line<R>, Failure>>;
type Pages = BoxStream<'static, Result<Page, Failure>>;
type Asking = futures::future::BoxFuture<'static, Result<String, Failure>>;

struct Following<R> {
    of: Follower<R>,
    outlet: mpsc::Sender<WatchEvent>,
    view: View,
    /// From where the watch goes on; nothing, until it is listed.
    since: Option<String>,
    lines: Option<Lines<R>>,
    /// When the watch is opened, if it is not open.
    open_at: Duration,
    opened_at: Duration,
    /// When something came of it last.
    heard_at: Duration,
    pages: Option<Pages>,
    meanwhile: Meanwhile<(String, String), Shown<R>>,
    asking: Option<Asking>,
    pauses: Pauses,
}

/// How often in a row what was asked for failed.
#[derive(Default)]
struct Pauses {
    watching: u32,
    listing: u32,
    asking: u32,
    /// Lists after which the watch could not be opened where they end.
    expired: u32,
}

/// What happened.
enum News<R> {
    Doubt,
    Line(Option<Result<Line<R>, Failure>>),
    Page(Option<Result<Page, Failure>>),
    Answer(Result<String, Failure>),
    Time,
}

impl<R> Following<R>
where
    R: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    fn new(of: Follower<R>, outlet: mpsc::Sender<WatchEvent>) -> Self {
        Self {
            of,
            outlet,
            view: View::default(),
            since: None,
            lines: None,
            open_at: Duration::ZERO,
            opened_at: Duration::ZERO,
            heard_at: Duration::ZERO,
            pages: None,
            meanwhile: Meanwhile::default(),
            asking: None,
            pauses: Pauses::default(),
        }
    }

    async fn run(mut self) -> Infallible {
        loop {
            let now = self.of.machine.elapsed();
            match self.view.next() {
                Some((at, Do::List)) if at <= now => self.begin_list(now).await,
                Some((at, Do::Ask)) if at <= now => self.ask(now),
                _ => {}
            }
            if self.lines.is_none() && self.open_at <= now {
                self.open(now);
            }
            let wake = self.wake(now);
            match self.news(wake).await {
                News::Doubt => self.view.doubt(),
                News::Line(line) => self.take_line(line).await,
                News::Page(page) => self.take_page(page).await,
                News::Answer(answer) => self.take_answer(answer).await,
                News::Time => self.end_dead_watch(),
            }
        }
    }

    /// Hands something to the driver, and waits until it is taken in: what is asked of the API server after that is newer
    /// than what the driver has written before.
    async fn tell(&mut self, event: WatchEvent) {
        if self.outlet.send(event).await.is_ok() {
            // It is closed when nobody listens any more, and then nobody polls this either.
            drop(self.outlet.reserve().await);
        }
    }

    async fn show(&mut self, shown: Shown<R>) {
        let event = (self.of.cut)(shown);
        self.tell(event).await;
    }

    async fn prove(&mut self, proof: Option<Proof>) {
        if let Some(proof) = proof {
            self.tell(WatchEvent::Age(self.of.store, proof)).await;
        }
    }

    async fn begin_list(&mut self, now: Duration) {
        self.show(Shown::Listing).await;
        self.view.lists(now);
        self.meanwhile = Meanwhile::default();
        self.pages = Some(pages::<R>(self.of.client.clone()).boxed());
    }

    fn ask(&mut self, now: Duration) {
        self.view.asks(now);
        self.asking = Some(revision::<R>(self.of.client.clone()).boxed());
    }

    fn open(&mut self, now: Duration) {
        let Some(since) = self.since.clone() else { return };
        let api = Api::<R>::all(self.of.client.clone());
        let opening = async move {
            let timeout = u32::try_from(WATCHED_FOR.as_secs()).ok();
            let params = WatchParams { timeout, bookmarks: true, ..WatchParams::default() };
            let opened = tokio::time::timeout(ANSWERED_WITHIN, api.watch(&params, &since)).await;
            let lines = opened.map_err(|_| Failure::Unanswered)??;
            Ok::<_, Failure>(lines.map_err(Failure::from))
        };
        self.lines = Some(futures::stream::once(opening).try_flatten().boxed());
        (self.opened_at, self.heard_at) = (now, now);
    }

    /// How long there is nothing to do but wait.
    fn wake(&self, now: Duration) -> Duration {
        let next = self.view.next().map(|(at, _)| at);
        let of_watch = match (&self.lines, &self.since) {
            (Some(_), _) => Some(self.heard_at + SILENT_FOR),
            (None, Some(_)) => Some(self.open_at),
            (None, None) => None,
        };
        next.into_iter().chain(of_watch).min().map_or(SILENT_FOR, |at| at.saturating_sub(now))
    }

    async fn news(&mut self, wait: Duration) -> News<R> {
        let doubts = &mut self.of.doubts;
        let doubt = async {
            if doubts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let lines = OptionFuture::from(self.lines.as_mut().map(StreamExt::next));
        let asking = OptionFuture::from(self.asking.as_mut());
        let pages = OptionFuture::from(self.pages.as_mut().map(StreamExt::next));
        tokio::select! {
            biased;
            () = doubt => News::Doubt,
            Some(answer) = asking => News::Answer(answer),
            Some(line) = lines => News::Line(line),
            Some(page) = pages => News::Page(page),
            () = tokio::time::sleep(wait) => News::Time,
        }
    }

    fn end_dead_watch(&mut self) {
        let now = self.of.machine.elapsed();
        if self.lines.is_some() && now.saturating_sub(self.heard_at) >= SILENT_FOR {
            tracing::warn!(kind = self.of.store.kind(), "nothing came of the watch for long, opening it again");
            self.lines = None;
            self.open_at = now;
        }
    }

    async fn take_line(&mut self, line: Option<Result<Line<R>, Failure>>) {
        let now = self.of.machine.elapsed();
        match line {
            Some(Ok(Line::Added(object) | Line::Modified(object))) => self.take_object(object, now, true).await,
            Some(Ok(Line::Deleted(object))) => self.take_object(object, now, false).await,
            Some(Ok(Line::Bookmark(bookmark))) => {
                let revision = self.heard(bookmark.metadata.resource_version, now);
                let proven = self.view.reaches_by_bookmark(revision, now);
                self.prove(proven.map(Proof::Reached)).await;
            }
            Some(Ok(Line::Error(status))) => self.watch_failed(&::kube::Error::Api(status).into(), now),
            Some(Err(failure)) => self.watch_failed(&failure, now),
            None => self.watch_ended(now),
        }
    }

    /// The API server ends a watch when its time is over.
    fn watch_ended(&mut self, now: Duration) {
        self.lines = None;
        let has_worked = self.heard_at > self.opened_at || now >= self.opened_at + SHORTEST;
        self.open_at = if has_worked { now } else { now + pause(&mut self.pauses.watching, &mut self.of.rng) };
    }

    /// Something came: the watch goes on from there.
    fn heard(&mut self, version: String, now: Duration) -> Option<Revision> {
        self.heard_at = now;
        (self.pauses.watching, self.pauses.expired) = (0, 0);
        let revision = version.parse().ok();
        self.since = Some(version);
        revision
    }

    async fn take_object(&mut self, object: R, now: Duration, is_there: bool) {
        let revision = self.heard(object.resource_version().unwrap_or_default(), now);
        if self.view.is_listing() {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            let kept = object.clone();
            let kept = if is_there { Shown::Item(kept) } else { Shown::GoneSince(kept) };
            self.meanwhile.note(key, revision, kept);
        }
        self.show(if is_there { Shown::Changed(object) } else { Shown::Gone(object) }).await;
        let proven = self.view.reaches(revision);
        self.prove(proven.map(Proof::Reached)).await;
    }

    fn watch_failed(&mut self, failure: &Failure, now: Duration) {
        self.lines = None;
        if failure.code() == Some(410) {
            tracing::info!(kind = self.of.store.kind(), "the watch cannot go on where it stood; listing anew");
            let again_at =
                if self.pauses.expired == 0 { now } else { now + pause_of(self.pauses.expired, &mut self.of.rng) };
            self.pauses.expired += 1;
            self.since = None;
            self.view.expired(again_at);
            return;
        }
        tracing::warn!(kind = self.of.store.kind(), error = %failure, "watch failed, opening it again");
        self.open_at = now + pause(&mut self.pauses.watching, &mut self.of.rng);
    }

    async fn take_page(&mut self, page: Option<Result<Page, Failure>>) {
        let taken = match page {
            Some(Ok(page)) => self.take_items(page).await,
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::Unanswered),
        };
        if let Err(failure) = taken {
            self.list_failed(&failure).await;
        }
    }

    async fn take_items(&mut self, page: Page) -> Result<(), Failure> {
        for item in page.items {
            let object = serde_json::from_str(item.get()).map_err(::kube::Error::SerdeError)?;
            self.show(Shown::Item(object)).await;
        }
        if page.is_last {
            self.end_list(page.revision).await;
        }
        Ok(())
    }

    /// The watch is opened anew, where the list ends: an older one may lag behind it, and would take back what it shows.
    async fn end_list(&mut self, version: String) {
        self.pages = None;
        self.pauses.listing = 0;
        let revision = version.parse().ok();
        for shown in std::mem::take(&mut self.meanwhile).after(revision) {
            self.show(shown).await;
        }
        self.show(Shown::Listed).await;
        let proven = self.view.listed(revision);
        self.since = Some(self.view.reached().map_or(version, |reached| reached.to_string()));
        self.lines = None;
        self.open_at = Duration::ZERO;
        self.asking = None;
        self.prove(proven.map(Proof::Listed)).await;
    }

    async fn list_failed(&mut self, failure: &Failure) {
        self.pages = None;
        let now = self.of.machine.elapsed();
        self.view.not_listed(now + pause(&mut self.pauses.listing, &mut self.of.rng));
        tracing::warn!(kind = self.of.store.kind(), error = %failure, "list failed, listing again");
        self.prove((failure.code() == Some(404)).then_some(Proof::NotInstalled)).await;
    }

    async fn take_answer(&mut self, answer: Result<String, Failure>) {
        self.asking = None;
        match answer {
            Ok(version) => {
                self.pauses.asking = 0;
                let proven = self.view.answered(version.parse().ok());
                self.prove(proven.map(Proof::Reached)).await;
            }
            Err(failure) => {
                let now = self.of.machine.elapsed();
                self.view.unanswered(now + pause(&mut self.pauses.asking, &mut self.of.rng));
                tracing::warn!(kind = self.of.store.kind(), error = %failure, "of when the view is was not answered");
                self.prove((failure.code() == Some(404)).then_some(Proof::NotInstalled)).await;
            }
        }
    }
}

/// The pause after one more failure.
fn pause(failures: &mut u32, rng: &mut fastrand::Rng) -> Duration {
    let pause = pause_of(*failures, rng);
    *failures += 1;
    pause
}

/// Doubles from failure to failure; up to half of it is left to chance, so that not everybody comes back at once.
fn pause_of(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let (first, longest) = PAUSES;
    let pause = first.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
    pause.mul_f64(rng.f64().mul_add(-0.5, 1.0))
}
