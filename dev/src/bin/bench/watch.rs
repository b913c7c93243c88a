//! A watch that says when each object was shown and when it was Ready. Both moments are taken from the same watch, so
//! that its own delay is in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;

use crate::Done;
use crate::operator::PATIENCE;
use crate::owner::Owner;

/// When an object was first shown, and when it was first Ready.
#[derive(Clone, Copy, Debug)]
struct Seen {
    shown: Instant,
    ready: Option<Instant>,
}

pub struct Watch {
    api: Api<DynamicObject>,
    /// Up to where events were taken in.
    version: String,
    events: Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<DynamicObject>>>>>,
    seen: BTreeMap<String, Seen>,
    gone: BTreeSet<String>,
    /// How many events there were.
    pub count: usize,
}

impl Watch {
    /// Watches all that `api` shows, from now on.
    pub async fn open(api: Api<DynamicObject>) -> Done<Self> {
        let version = api.list_metadata(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let mut watch = Self {
            api,
            version: version.unwrap_or_default(),
            events: Box::pin(futures::stream::empty()),
            seen: BTreeMap::new(),
            gone: BTreeSet::new(),
            count: 0,
        };
        watch.reopen().await?;
        Ok(watch)
    }

    async fn reopen(&mut self) -> Done {
        self.events = Box::pin(self.api.watch(&WatchParams::default(), &self.version).await?);
        Ok(())
    }

    /// The API server ends a watch whose client did not keep up; the next goes on where it was.
    async fn next(&mut self) -> Done<WatchEvent<DynamicObject>> {
        loop {
            match self.events.next().await {
                Some(event) => return Ok(event?),
                None => self.reopen().await?,
            }
        }
    }

    /// Takes events in until so many objects were shown.
    pub async fn until_shown(&mut self, objects: usize) -> Done {
        self.until(&format!("{objects} objects are shown"), |watch| watch.seen.len() >= objects).await
    }

    /// Takes events in until so many objects are Ready.
    pub async fn until_ready(&mut self, objects: usize) -> Done {
        self.until(&format!("{objects} objects are Ready"), |watch| watch.ready() >= objects).await
    }

    /// Takes events in until each of these is Ready, whatever else is shown.
    pub async fn until_all_ready(&mut self, owners: &[&Owner]) -> Done {
        let is_ready = |watch: &Self, owner: &Owner| watch.seen.get(&owner.key()).is_some_and(|s| s.ready.is_some());
        self.until("the objects are Ready", |watch| owners.iter().all(|owner| is_ready(watch, owner))).await
    }

    /// Takes events in until so many objects are gone.
    pub async fn until_gone(&mut self, objects: usize) -> Done {
        self.until(&format!("{objects} objects are gone"), |watch| watch.gone.len() >= objects).await
    }

    /// Takes events in until this one is gone.
    pub async fn until_this_is_gone(&mut self, owner: &Owner) -> Done {
        self.until(&format!("{} is gone", owner.key()), |watch| watch.gone.contains(&owner.key())).await
    }

    async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) -> Done {
        let start = Instant::now();
        while !reached(self) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            if self.take_within(left).await?.is_none() {
                return Err(format!("{what}: not in {} s; {} events were seen", PATIENCE.as_secs(), self.count).into());
            }
        }
        Ok(())
    }

    /// As [`Self::until_ready`] for so many that they may take long: it gives up when for this time no further one has
    /// become Ready, or all of it takes too long.
    pub async fn until_ready_in_steps(&mut self, objects: usize, pause: Duration, most: Duration) -> Done {
        let start = Instant::now();
        let (mut ready, mut last) = (0, start);
        while ready < objects {
            let left = pause.saturating_sub(last.elapsed()).min(most.saturating_sub(start.elapsed()));
            if self.take_within(left).await?.is_none() {
                let (took, since) = (start.elapsed().as_secs(), last.elapsed().as_secs());
                return Err(
                    format!("{ready} of {objects} objects are Ready after {took} s, the last for {since} s").into()
                );
            }
            if self.ready() > ready {
                (ready, last) = (self.ready(), Instant::now());
            }
        }
        Ok(())
    }

    /// `None` when nothing came in that time.
    async fn take_within(&mut self, time: Duration) -> Done<Option<()>> {
        // An event that is there already must not prolong a wait whose time is over.
        if time.is_zero() {
            return Ok(None);
        }
        match tokio::time::timeout(time, self.next()).await {
            Ok(event) => self.take(event?).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Takes in what has arrived by now.
    pub async fn drain(&mut self) -> Done {
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(100), self.next()).await {
            self.take(event?)?;
        }
        Ok(())
    }

    /// From the first one shown to the last one shown, and to the last one Ready, in seconds.
    pub fn spans(&self) -> (f64, f64) {
        spans(&self.seen.values())
    }

    /// From this one's being shown to its being Ready, in seconds.
    pub fn span_of(&self, owner: &Owner) -> f64 {
        spans(&self.seen.get(&owner.key()).into_iter()).1
    }

    fn ready(&self) -> usize {
        self.seen.values().filter(|seen| seen.ready.is_some()).count()
    }

    fn take(&mut self, event: WatchEvent<DynamicObject>) -> Done {
        let now = Instant::now();
        self.count += 1;
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.version = object.resource_version().unwrap_or_default();
                let seen = self.seen.entry(key(&object)).or_insert(Seen { shown: now, ready: None });
                if seen.ready.is_none() && is_ready(&object) {
                    seen.ready = Some(now);
                }
            }
            WatchEvent::Deleted(object) => {
                self.version = object.resource_version().unwrap_or_default();
                self.gone.insert(key(&object));
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(error) => return Err(format!("the watch failed: {error}").into()),
        }
        Ok(())
    }
}

fn spans<'a>(seen: &(impl Iterator<Item = &'a Seen> + Clone)) -> (f64, f64) {
    let shown = || seen.clone().map(|seen| seen.shown);
    let ready = seen.clone().filter_map(|seen| seen.ready).max();
    let from_first = |moment: Option<Instant>| {
        moment.zip(shown().min()).map_or(f64::NAN, |(moment, first)| (moment - first).as_secs_f64())
    };
    (from_first(shown().max()), from_first(ready))
}

fn key(object: &DynamicObject) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Ready, and that of the spec as it is now.
pub fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"].as_i64() == object.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::API;
    use serde_json::{Value, json};

    fn object(generation: i64, ready: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": API,
            "kind": "RegistryPolicy",
            "metadata": {"name": "a", "namespace": "team", "generation": generation},
            "status": {"conditions": [ready]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_is_what_is_true_of_the_spec_as_it_is() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "observedGeneration": 2});
        assert!(is_ready(&object(2, &condition("Ready", "True"))));
        assert!(!is_ready(&object(3, &condition("Ready", "True"))), "an older spec");
        assert!(!is_ready(&object(2, &condition("Ready", "Unknown"))));
        assert!(!is_ready(&object(2, &condition("Accepted", "True"))));
    }

    #[test]
    fn a_span_is_from_the_first_shown_to_the_last_ready() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seen = [(1, 5), (3, 4)].map(|(shown, ready)| Seen { shown: at(shown), ready: Some(at(ready)) });
        assert_eq!(spans(&seen.iter()), (2.0, 4.0));
    }
}
