//! Shares: how much a namespace may have of what all namespaces of a registry share, and how much all objects may have
//! together that one rule lets in (docs/api.md, "Limits").
//!
//! What somebody has is counted, and stays, whatever a limit says by now: only what asks for more is refused. Nobody is told
//! of anybody else's objects.

use std::collections::BTreeMap;

use crate::api::{AllowRule, Amounts};
use crate::kinds::RULES_AT_MOST;
use crate::policy::{Joined, REGISTRY_POLICY_LIMIT, Statement};
use crate::reason::{Because, Reason};

/// Objects of a namespace, where no rule says how many.
const OBJECTS: usize = 1_000;
/// Its roles, likewise.
const ROLES: usize = 100;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Objects,
    Characters,
    Rules,
    Roles,
}

/// What a namespace may have where no rule that names it writes a number.
#[derive(Clone, Copy)]
enum Unwritten {
    Number(usize),
    /// AWS takes so much in a registry, of which the last quarter is kept for namespaces that have less than a quarter.
    OfTheRegistry(usize),
}

impl Measure {
    const ALL: [Self; 4] = [Self::Objects, Self::Characters, Self::Rules, Self::Roles];

    fn field(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Characters => "characters",
            Self::Rules => "rules",
            Self::Roles => "roles",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Objects => "objects in this registry",
            Self::Characters => "characters in the registry policy",
            Self::Rules => "cache rules",
            Self::Roles => "roles",
        }
    }

    fn written(self, amounts: &Amounts) -> Option<usize> {
        let number = match self {
            Self::Objects => amounts.objects,
            Self::Characters => amounts.characters,
            Self::Rules => amounts.rules,
            Self::Roles => amounts.roles,
        };
        // The schema lets nothing below 0 in.
        number.map(|number| usize::try_from(number).unwrap_or_default())
    }

    fn unwritten(self) -> Unwritten {
        match self {
            Self::Objects => Unwritten::Number(OBJECTS),
            Self::Roles => Unwritten::Number(ROLES),
            Self::Characters => Unwritten::OfTheRegistry(REGISTRY_POLICY_LIMIT),
            Self::Rules => Unwritten::OfTheRegistry(RULES_AT_MOST),
        }
    }
}

/// What others have in the registry of what AWS counts; nothing, as long as AWS was not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Of the registry policy, the characters without a statement of ours.
    pub characters: Option<usize>,
    /// Cache rules.
    pub rules: Option<usize>,
}

impl Others {
    fn of(&self, measure: Measure) -> Option<usize> {
        match measure {
            Measure::Characters => self.characters,
            Measure::Rules => self.rules,
            Measure::Objects | Measure::Roles => Some(0),
        }
    }
}

/// What one object has, or asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share<'s> {
    pub statements: &'s [Statement],
    pub objects: usize,
    pub rules: usize,
    pub roles: usize,
}

/// Whose a share is: the namespace, and the name of the rule that lets the object in, if rules bound anything together.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'h> {
    pub namespace: &'h str,
    pub labels: Option<&'h BTreeMap<String, String>>,
    pub rule: Option<&'h str>,
}

/// How an object may have what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    Sure,
    /// It rests on how much others have, which nobody has read yet.
    IfOthersLeaveIt,
}

/// A limit that would be exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub measure: Measure,
    pub message: String,
}

impl Exceeded {
    pub fn because(&self) -> Because {
        Because::new(Reason::LimitExceeded, self.message.clone())
    }
}

/// What is had, by namespace and together, and what rules let be had.
pub struct Shares<'a> {
    /// By name.
    rules: Vec<&'a AllowRule>,
    others: Others,
    all: Pool,
    /// Of what each rule lets in.
    of_rules: BTreeMap<String, Pool>,
    /// The numbers that rules write for each namespace.
    written: BTreeMap<String, Amounts>,
}

impl<'a> Shares<'a> {
    pub fn new(allow: &'a [AllowRule], others: Others) -> Self {
        let mut rules: Vec<_> = allow.iter().collect();
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        let (all, of_rules, written) = Default::default();
        Self { rules, others, all, of_rules, written }
    }

    /// The first rule, by name, that `covers` an object; nothing where no rule bounds anything together.
    pub fn rule_that(&self, covers: impl Fn(&AllowRule) -> bool) -> Option<&'a str> {
        self.rules.iter().find(|rule| together(rule).is_some())?;
        self.rules.iter().find(|rule| covers(rule)).map(|rule| rule.name.as_str())
    }

    /// Counts what somebody has.
    pub fn count(&mut self, holder: &Holder<'_>, has: &Share<'_>) {
        self.exchange(holder, &Share::default(), has);
    }

    /// Gives an object what it asks for, if that is no more in any way.
    pub fn edit(&mut self, holder: &Holder<'_>, has: &Share<'_>, wants: &Share<'_>) -> bool {
        let raises = self.exchange(holder, has, wants).raises();
        if raises {
            self.exchange(holder, wants, has);
        }
        !raises
    }

    /// Gives an object what it asks for in place of what it has, or says what is exceeded.
    pub fn ask(&mut self, holder: &Holder<'_>, has: &Share<'_>, wants: &Share<'_>) -> Result<Grant, Exceeded> {
        let moved = self.exchange(holder, has, wants);
        let mut grant = Grant::Sure;
        for measure in Measure::ALL {
            let of_each = self.of_each(measure, holder, &moved);
            match of_each.and_then(|grant| self.of_rule(measure, holder, &moved).map(|()| grant)) {
                Ok(Grant::Sure) => {}
                Ok(Grant::IfOthersLeaveIt) => grant = Grant::IfOthersLeaveIt,
                Err(message) => {
                    self.exchange(holder, wants, has);
                    return Err(Exceeded { measure, message });
                }
            }
        }
        Ok(grant)
    }

    fn exchange(&mut self, holder: &Holder<'_>, from: &Share<'_>, to: &Share<'_>) -> Moved {
        let rules = &self.rules;
        self.written.entry(holder.namespace.to_owned()).or_insert_with(|| written(rules, holder));
        let of_each = self.all.exchange(holder.namespace, from, to);
        let of_rule = holder.rule.map(|rule| {
            let pool = self.of_rules.entry(rule.to_owned()).or_default();
            let before = pool.sums;
            pool.exchange(holder.namespace, from, to);
            (before, pool.sums)
        });
        Moved { of_each, of_rule }
    }

    /// What bounds one namespace.
    fn of_each(&self, measure: Measure, holder: &Holder<'_>, moved: &Moved) -> Result<Grant, String> {
        let (before, after) = (moved.of_each.0.of(measure), moved.of_each.1.of(measure));
        if after <= before {
            return Ok(Grant::Sure);
        }
        let written = self.written.get(holder.namespace).and_then(|amounts| measure.written(amounts));
        match (written, measure.unwritten()) {
            (Some(limit), _) | (None, Unwritten::Number(limit)) if after <= limit => Ok(Grant::Sure),
            (Some(limit), _) | (None, Unwritten::Number(limit)) => {
                let is_absent = if written.is_some() { "" } else { ", which is absent" };
                Err(format!(
                    "The namespace would have {after} {} and may have {limit} (limits.each.{} of the Registry's spec.allow{is_absent}). Ask for less, delete what is not needed, or ask the Registry's owner to raise it.",
                    measure.what(),
                    measure.field(),
                ))
            }
            (None, Unwritten::OfTheRegistry(quota)) => self.of_registry(measure, quota, after),
        }
    }

    /// What AWS takes in a registry: the last quarter of it is for those who have less than a quarter.
    fn of_registry(&self, measure: Measure, quota: usize, after: usize) -> Result<Grant, String> {
        let quarter = quota / 4;
        if after <= quarter || self.have_one_namespace() {
            return Ok(Grant::Sure);
        }
        let others = self.others.of(measure);
        let ours = self.all.sums.of(measure);
        if ours + others.unwrap_or_default() > quota - quarter {
            return Err(format!(
                "The namespace would have {after} {}, and AWS takes {quota} of everybody. Who has more than a quarter ({quarter}) gets no more once three quarters are used, by whomever: ask for less, or ask the Registry's owner for limits.each.{}, which stands instead.",
                measure.what(),
                measure.field(),
            ));
        }
        Ok(if others.is_some() { Grant::Sure } else { Grant::IfOthersLeaveIt })
    }

    /// What bounds all together that a rule lets in.
    fn of_rule(&self, measure: Measure, holder: &Holder<'_>, moved: &Moved) -> Result<(), String> {
        let Some((name, (before, after))) = holder.rule.zip(moved.of_rule) else { return Ok(()) };
        let rule = self.rules.iter().find(|rule| rule.name == name);
        let limit = rule.and_then(|rule| measure.written(together(rule)?));
        let (before, after) = (before.of(measure), after.of(measure));
        match limit {
            Some(limit) if after > before && after > limit => Err(format!(
                "All that rule {name:?} of the Registry's spec.allow lets in may have {limit} {} together (limits.together.{}), and {} more do not fit. Ask for less, or ask the Registry's owner to raise it.",
                measure.what(),
                measure.field(),
                after - before,
            )),
            _ => Ok(()),
        }
    }

    /// Whether the rules name a single namespace: then there is nobody to keep anything for.
    fn have_one_namespace(&self) -> bool {
        let mut named = self.rules.iter().map(|rule| rule.namespaces.names.as_deref().unwrap_or_default());
        let first = named.clone().flatten().next();
        first.is_some_and(|first| named.all(|names| !names.is_empty() && names.iter().all(|name| name == first)))
    }
}

/// The numbers for one namespace: of those that rules write that name it, the largest.
fn written(rules: &[&AllowRule], holder: &Holder<'_>) -> Amounts {
    let naming = rules.iter().filter(|rule| rule.namespaces.selects(holder.namespace, holder.labels));
    let each = naming.filter_map(|rule| rule.limits.as_ref()?.each);
    each.fold(Amounts::default(), |a, b| Amounts {
        objects: a.objects.max(b.objects),
        characters: a.characters.max(b.characters),
        rules: a.rules.max(b.rules),
        roles: a.roles.max(b.roles),
    })
}

fn together(rule: &AllowRule) -> Option<&Amounts> {
    rule.limits.as_ref()?.together.as_ref()
}

/// What was had before an exchange, and what is had after it.
struct Moved {
    /// By the namespace.
    of_each: (Sums, Sums),
    /// By all that the object's rule lets in.
    of_rule: Option<(Sums, Sums)>,
}

impl Moved {
    fn raises(&self) -> bool {
        let raises = |(before, after): (Sums, Sums)| Measure::ALL.into_iter().any(|m| after.of(m) > before.of(m));
        raises(self.of_each) || self.of_rule.is_some_and(raises)
    }
}

/// What is counted against one bound. Statements of one namespace are joined, and never with another's: who shares one with
/// a neighbour has no less for it.
#[derive(Clone, Debug, Default)]
struct Pool {
    of: BTreeMap<String, Used>,
    sums: Sums,
}

impl Pool {
    /// What the namespace had before, and has after.
    fn exchange(&mut self, namespace: &str, from: &Share<'_>, to: &Share<'_>) -> (Sums, Sums) {
        let used = self.of.entry(namespace.to_owned()).or_default();
        let before = used.sums();
        used.joined.remove(from.statements);
        used.joined.add(to.statements);
        used.counted = used.counted.plus(&Sums::of_share(to)).minus(&Sums::of_share(from));
        let after = used.sums();
        self.sums = self.sums.plus(&after).minus(&before);
        (before, after)
    }
}

#[derive(Clone, Debug, Default)]
struct Used {
    joined: Joined,
    /// All but the characters.
    counted: Sums,
}

impl Used {
    fn sums(&self) -> Sums {
        Sums { characters: self.joined.characters(), ..self.counted }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    objects: usize,
    characters: usize,
    rules: usize,
    roles: usize,
}

impl Sums {
    fn of_share(share: &Share<'_>) -> Self {
        let Share { statements: _, objects, rules, roles } = *share;
        Self { objects, characters: 0, rules, roles }
    }

    fn of(&self, measure: Measure) -> usize {
        match measure {
            Measure::Objects => self.objects,
            Measure::Characters => self.characters,
            Measure::Rules => self.rules,
            Measure::Roles => self.roles,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            objects: self.objects + other.objects,
            characters: self.characters + other.characters,
            rules: self.rules + other.rules,
            roles: self.roles + other.roles,
        }
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            objects: self.objects - other.objects,
            characters: self.characters - other.characters,
            rules: self.rules - other.rules,
            roles: self.roles - other.roles,
        }
    }
}
