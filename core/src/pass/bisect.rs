//! Who makes AWS refuse the document. Its text does not say, so additions are tried by halves on top of all that stands.
//! Every accepted probe keeps what it added; no probe takes anything away. A culprit costs at most 2⌈log2 n⌉+4 writes.

/// The search, told one answer at a time.
#[derive(Clone, Debug)]
pub struct Bisect {
    accepted: Vec<usize>,
    /// Among these is at least one culprit, if the last refusal was an addition's fault.
    suspects: Vec<usize>,
    /// Not yet tried since the last refusal of a larger set.
    rest: Vec<usize>,
    culprits: Vec<usize>,
    probe: Vec<usize>,
    /// Whether any write has been accepted: without one, what stands may itself be refused.
    anything_accepted: bool,
    standing_refused: bool,
}

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub accepted: Vec<usize>,
    pub culprits: Vec<usize>,
    /// AWS refuses even what stands there already.
    pub standing_refused: bool,
}

impl Bisect {
    /// A search among `n` additions, all of which were just refused together.
    pub fn after_refusal(n: usize) -> Self {
        Self {
            accepted: Vec::new(),
            suspects: (0..n).collect(),
            rest: Vec::new(),
            culprits: Vec::new(),
            probe: Vec::new(),
            anything_accepted: false,
            standing_refused: false,
        }
    }

    /// The same, where AWS is known to take what stands.
    pub fn on_what_stands(n: usize) -> Self {
        Self { anything_accepted: true, ..Self::after_refusal(n) }
    }

    /// The additions to write next, on top of what stands; `None`: the search is over.
    pub fn next_probe(&mut self) -> Option<Vec<usize>> {
        if self.standing_refused {
            return None;
        }
        match self.suspects.len() {
            0 if self.rest.is_empty() => return None,
            0 => self.probe = std::mem::take(&mut self.rest),
            1 => {
                if self.anything_accepted {
                    self.convict();
                    return self.next_probe();
                }
                // Nothing was ever accepted: it may be what stands that is refused, not the addition.
                self.probe = Vec::new();
            }
            n => self.probe = self.suspects[..n / 2].to_vec(),
        }
        Some(self.accepted.iter().chain(&self.probe).copied().collect())
    }

    pub fn answer(&mut self, accepted: bool) {
        let probe = std::mem::take(&mut self.probe);
        if accepted {
            self.anything_accepted = true;
            if probe.is_empty() {
                self.convict();
                return;
            }
            self.suspects.retain(|i| !probe.contains(i));
            self.accepted.extend(probe);
        } else if probe.is_empty() {
            self.standing_refused = true;
        } else {
            let unsure = std::mem::replace(&mut self.suspects, probe.clone());
            self.rest.extend(unsure.into_iter().filter(|i| !probe.contains(i)));
        }
    }

    fn convict(&mut self) {
        self.culprits.append(&mut self.suspects);
    }

    pub fn finish(mut self) -> Found {
        self.accepted.sort_unstable();
        self.culprits.sort_unstable();
        Found { accepted: self.accepted, culprits: self.culprits, standing_refused: self.standing_refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(n: usize, bad: &[usize]) -> (Found, usize) {
        let mut bisect = Bisect::after_refusal(n);
        let mut writes = 1;
        let mut stood: Vec<usize> = Vec::new();
        while let Some(set) = bisect.next_probe() {
            writes += 1;
            let fine = !set.iter().any(|i| bad.contains(i));
            if fine {
                assert!(stood.iter().all(|i| set.contains(i)), "a probe took away what stood");
                stood = set;
            }
            bisect.answer(fine);
        }
        (bisect.finish(), writes)
    }

    fn ceil_log2(n: usize) -> usize {
        usize::BITS as usize - (n - 1).leading_zeros() as usize
    }

    /// Behaviour 18.
    #[test]
    fn one_culprit_is_found_within_the_bound_wherever_it_stands() {
        for n in 1..=70 {
            for bad in 0..n {
                let (found, writes) = search(n, &[bad]);
                assert_eq!(found.culprits, [bad]);
                assert_eq!(found.accepted.len(), n - 1);
                assert!(writes <= 2 * ceil_log2(n) + 4, "{writes} writes for {n}");
            }
        }
    }

    #[test]
    fn several_culprits_are_all_found_and_nobody_else() {
        for bad in [&[0, 1][..], &[3, 17, 18], &[0, 31], &[1, 2, 3, 4, 5]] {
            let (found, writes) = search(32, bad);
            assert_eq!(found.culprits, bad);
            assert_eq!(found.accepted.len(), 32 - bad.len());
            assert!(writes <= bad.len() * (2 * 5 + 4), "{writes}");
        }
    }

    #[test]
    fn when_even_what_stands_is_refused_nobody_is_a_culprit() {
        let mut bisect = Bisect::after_refusal(4);
        while bisect.next_probe().is_some() {
            bisect.answer(false);
        }
        let found = bisect.finish();
        assert!(found.standing_refused && found.culprits.is_empty() && found.accepted.is_empty());
    }
}
