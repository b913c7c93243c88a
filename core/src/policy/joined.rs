//! How many characters statements take once those alike share one (`compact`), told while statements come and go.

use std::collections::BTreeMap;

use super::compact::{Kind, parted};
use super::json::quote;
use super::statement::{Principal, Statement};

/// Of as many characters as every Sid of ours has; nothing else of it counts (`ownership::Sid` is not known here).
const SID: &str = "EcpxxxxxxxxxxXXXXXXXXXXXXXXXXXXXXXXXXXX";

/// Statements of several owners, each as often as it was put in.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    groups: BTreeMap<(Kind, Statement), Group>,
    characters: usize,
}

/// Statements that are alike but for their principals.
#[derive(Clone, Debug)]
struct Group {
    /// All of the text but the principals.
    around: usize,
    /// The text of all principals.
    principals: usize,
    /// How often each is asked for.
    times: BTreeMap<Principal, usize>,
}

impl Joined {
    /// What is sent of them, with a comma after each.
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// Puts statements in.
    pub fn add(&mut self, statements: &[Statement]) {
        for (key, principals) in statements.iter().flat_map(parts) {
            let group = self.groups.entry(key).or_insert_with_key(|(kind, shared)| Group::new(*kind, shared));
            self.characters -= group.characters();
            for principal in principals {
                group.add(principal);
            }
            self.characters += group.characters();
        }
    }

    /// Takes statements out that were put in.
    pub fn remove(&mut self, statements: &[Statement]) {
        for (key, principals) in statements.iter().flat_map(parts) {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            self.characters -= group.characters();
            for principal in &principals {
                group.remove(principal);
            }
            self.characters += group.characters();
            if group.times.is_empty() {
                self.groups.remove(&key);
            }
        }
    }
}

/// A statement by the kinds of its principals.
fn parts(statement: &Statement) -> impl Iterator<Item = ((Kind, Statement), Vec<Principal>)> + use<> {
    let (shared, principals) = parted(statement.clone());
    let mut by_kind = BTreeMap::<Kind, Vec<Principal>>::new();
    for principal in &principals {
        by_kind.entry(Kind::of(principal)).or_default().push(principal.clone());
    }
    by_kind.into_iter().map(move |(kind, principals)| ((kind, shared.clone()), principals))
}

impl Group {
    fn new(kind: Kind, shared: &Statement) -> Self {
        let principals = match kind {
            Kind::Everyone => r#","Principal":,"#,
            Kind::Aws => r#","Principal":{"AWS":},"#,
            Kind::Service => r#","Principal":{"Service":},"#,
        };
        let around = length(&shared.to_value(Some(SID)).to_string()) + principals.len();
        Self { around, principals: 0, times: BTreeMap::new() }
    }

    fn characters(&self) -> usize {
        match self.times.len() {
            0 => 0,
            1 => self.around + self.principals,
            // A list has brackets, and commas between.
            n => self.around + self.principals + n + 1,
        }
    }

    fn add(&mut self, principal: Principal) {
        let text = length(&quote(principal.as_str()));
        let times = self.times.entry(principal).or_default();
        *times += 1;
        if *times == 1 {
            self.principals += text;
        }
    }

    fn remove(&mut self, principal: &Principal) {
        let Some(times) = self.times.get_mut(principal) else { return };
        *times -= 1;
        if *times == 0 {
            self.times.remove(principal);
            self.principals -= length(&quote(principal.as_str()));
        }
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}
