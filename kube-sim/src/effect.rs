//! What each verb does to the state, and what it answers. One request, one step; no waiting here.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::calls::Verb;
use crate::patch::PatchType;
use crate::preconditions::Preconditions;
use crate::refusal::Refusal;
use crate::request::Asked;
use crate::selector::Selector;
use crate::server::{Page, Shared, State, view};
use crate::store::{Key, Store};
use crate::watch::Watch;
use crate::writes::{Part, Written};

pub(crate) enum AnswerBody {
    Json(Value),
    Watch(Box<Watch>),
}

pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) changed: bool,
    /// The name of what was written, when the server chose it.
    pub(crate) name: Option<String>,
    pub(crate) body: AnswerBody,
}

impl Answer {
    fn read(body: Value) -> Self {
        Self { code: 200, changed: false, name: None, body: AnswerBody::Json(body) }
    }
}

/// Unfinished lists that are remembered; older ones get 410.
const REMEMBERED_PAGES: usize = 64;

impl State {
    pub(crate) fn answer(&mut self, shared: &Arc<Shared>, asked: Asked, at: Duration) -> Result<Answer, Refusal> {
        match asked.verb {
            Verb::Get => {
                let key = Key::new(&asked.kind.key(), &asked.namespace, &asked.name);
                let found = self.store.get(&key).ok_or_else(|| Refusal::not_found(&key.kind, &key.name))?;
                Ok(Answer::read(view(&found, asked.metadata_only)))
            }
            Verb::List => self.list(&asked).map(Answer::read),
            Verb::Watch => {
                let watch = Watch::open(shared, self, asked)?;
                Ok(Answer { body: AnswerBody::Watch(Box::new(watch)), ..Answer::read(Value::Null) })
            }
            _ if asked.query("dryRun").is_some_and(|v| !v.is_empty()) => {
                let mut copy = self.store.for_dry_run();
                let answer = write(&mut copy, &asked, at)?;
                Ok(Answer { changed: false, ..answer })
            }
            _ => {
                let answer = write(&mut self.store, &asked, at)?;
                self.settle(at);
                Ok(answer)
            }
        }
    }

    /// What other controllers of a cluster do at once.
    pub(crate) fn settle(&mut self, at: Duration) {
        if !self.namespaces_by_hand {
            while self.store.step_namespaces(&self.served, at) {}
        }
    }

    fn list(&mut self, asked: &Asked) -> Result<Value, Refusal> {
        let limit = asked.query("limit").and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
        let mut page = match asked.query("continue").filter(|token| !token.is_empty()) {
            Some(token) => self.resume(token, &asked.kind.key())?,
            None => self.first_page(asked)?,
        };
        let limit = if limit == 0 { page.rest.len() } else { limit.min(page.rest.len()) };
        let items: Vec<Value> = page.rest.drain(..limit).map(|object| list_item(&object, asked)).collect();
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if !page.rest.is_empty() {
            // Another page of one list has another token, and a token can be used again.
            let token = format!("{}.{}.{}", page.revision, self.seq, page.rest.len());
            metadata["continue"] = token.clone().into();
            // The real server does not count what a selector would leave of the rest.
            if ["labelSelector", "fieldSelector"].iter().all(|name| asked.query(name).unwrap_or_default().is_empty()) {
                metadata["remainingItemCount"] = page.rest.len().into();
            }
            self.pages.push_back((token, page));
            if self.pages.len() > REMEMBERED_PAGES {
                self.pages.pop_front();
            }
        }
        let (api_version, kind) = if asked.metadata_only {
            ("meta.k8s.io/v1".into(), "PartialObjectMetadataList".into())
        } else {
            (asked.kind.api_version(), format!("{}List", asked.kind.kind))
        };
        Ok(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items}))
    }

    fn first_page(&self, asked: &Asked) -> Result<Page, Refusal> {
        let selector = Selector::of(asked)?;
        let kind = asked.kind.key();
        let past = self.cached.as_ref().filter(|_| asked.query("resourceVersion") == Some("0"));
        let (revision, seen) = match past {
            Some(past) => (past.revision, self.store.visible_then(past, &kind, &asked.namespace)),
            None => (self.store.revision, self.store.visible(&kind, &asked.namespace)),
        };
        let rest = seen.into_iter().filter(|object| selector.matches(object)).collect();
        Ok(Page { kind, revision, rest })
    }

    fn resume(&self, token: &str, kind: &str) -> Result<Page, Refusal> {
        let page = self.pages.iter().find(|(known, page)| known == token && page.kind == kind).map(|(_, page)| page);
        let page =
            page.filter(|page| page.revision >= self.store.oldest(kind)).ok_or_else(Refusal::continue_expired)?;
        Ok(Page { kind: page.kind.clone(), revision: page.revision, rest: page.rest.clone() })
    }
}

/// Items of built-in kinds do not repeat their type in a list; those of custom kinds do.
fn list_item(object: &Value, asked: &Asked) -> Value {
    let mut item = view(object, asked.metadata_only);
    if let (false, Value::Object(members)) = (asked.kind.is_custom() || asked.metadata_only, &mut item) {
        members.shift_remove("apiVersion");
        members.shift_remove("kind");
    }
    item
}

fn write(store: &mut Store, asked: &Asked, at: Duration) -> Result<Answer, Refusal> {
    let kind = &asked.kind;
    let key = Key::new(&kind.key(), &asked.namespace, &asked.name);
    let part = if asked.subresource.is_some() { Part::Status } else { Part::Main };
    let written = match asked.verb {
        Verb::Create => store.create(kind, &asked.namespace, asked.body.clone(), at)?,
        Verb::Update => store.replace(kind, &key, part, &asked.body, at)?,
        Verb::Patch => {
            let patch_type = PatchType::of(&asked.content_type)?;
            let manager = asked.query("fieldManager").unwrap_or_default();
            store.patch(kind, &key, part, (patch_type, &asked.body), manager, at)?
        }
        Verb::Delete => {
            let written = store.delete(kind, &key, &Preconditions::of(&asked.body), at)?;
            return Ok(deleted(asked, &written));
        }
        Verb::DeleteCollection => return delete_collection(store, asked, at),
        Verb::Get | Verb::List | Verb::Watch => return Err(Refusal::method_not_allowed()),
    };
    let name = written.object["metadata"]["name"].as_str().map(String::from);
    Ok(Answer {
        code: if written.created { 201 } else { 200 },
        changed: written.changed,
        name,
        body: AnswerBody::Json(view(&written.object, asked.metadata_only)),
    })
}

/// A custom object that is gone is answered by a `Status`, one that waits for its finalizers by itself.
fn deleted(asked: &Asked, written: &Written) -> Answer {
    let body = if written.removed {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": asked.name, "group": asked.kind.group, "kind": asked.kind.plural,
                "uid": written.object["metadata"]["uid"]},
        })
    } else {
        Value::clone(&written.object)
    };
    Answer { changed: written.changed, ..Answer::read(body) }
}

fn delete_collection(store: &mut Store, asked: &Asked, at: Duration) -> Result<Answer, Refusal> {
    let selector = Selector::of(asked)?;
    let mut changed = false;
    let mut items = Vec::new();
    for key in store.keys(&asked.kind.key(), &asked.namespace) {
        if store.get(&key).is_some_and(|object| selector.matches(&object)) {
            let written = store.delete(&asked.kind, &key, &Preconditions::default(), at)?;
            changed |= written.changed;
            items.push(list_item(&written.object, asked));
        }
    }
    let body = json!({
        "apiVersion": asked.kind.api_version(), "kind": format!("{}List", asked.kind.kind),
        "metadata": {"resourceVersion": store.revision.to_string()}, "items": items,
    });
    Ok(Answer { changed, ..Answer::read(body) })
}
