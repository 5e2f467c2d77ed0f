//! What the command line takes of a mirror file's Blueprints and releases, for one run.
//!
//! It narrows what every entry of `blueprints` and `flux` wants for itself, `roots` and `releases` included. What that
//! needs comes along. An excluded one that is needed all the same is an error, and so is a pattern that fits nothing:
//! a typing mistake must not make a smaller lock.

use super::select::{Pattern, SelectError};

/// One pattern, and whether something fitted it.
#[derive(Debug, Clone)]
struct Given {
    flag: &'static str,
    text: String,
    pattern: Pattern,
    met: bool,
}

/// Patterns of names that are wanted, and of names that are not. The default leaves everything as it is.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    include: Vec<Given>,
    exclude: Vec<Given>,
    left_out: usize,
}

impl Narrowing {
    /// Reads the patterns of `--include` and of `--exclude`; they are those of the fields `include` and `exclude`.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, SelectError> {
        let read = |flag, texts: &[String]| {
            let given =
                |text: &String| Ok(Given { flag, text: text.clone(), pattern: text.parse::<Pattern>()?, met: false });
            texts.iter().map(given).collect::<Result<Vec<_>, SelectError>>()
        };
        Ok(Self { include: read("--include", include)?, exclude: read("--exclude", exclude)?, left_out: 0 })
    }

    /// Returns whether `name`, which an entry wants for itself, will stay; nothing is remembered of the question.
    pub fn would_keep(&self, name: &str) -> bool {
        let fits = |given: &[Given]| given.iter().any(|given| given.pattern.names(name));
        (self.include.is_empty() || fits(&self.include)) && !fits(&self.exclude)
    }

    /// Hears of a name that a source has, wanted or not: it is something that may be excluded.
    pub(super) fn hear(&mut self, name: &str) {
        meet(&mut self.exclude, name);
    }

    /// Returns whether `name`, which an entry wants for itself, stays.
    pub(super) fn keeps(&mut self, name: &str) -> bool {
        let included = meet(&mut self.include, name) || self.include.is_empty();
        let excluded = meet(&mut self.exclude, name);
        let kept = included && !excluded;
        self.left_out += usize::from(!kept);
        kept
    }

    /// Returns the pattern that excludes `name`.
    pub(super) fn excludes(&self, name: &str) -> Option<&str> {
        self.exclude.iter().find(|given| given.pattern.names(name)).map(|given| given.text.as_str())
    }

    /// Returns how many were left out since this was asked last.
    pub(super) const fn take_left_out(&mut self) -> usize {
        std::mem::replace(&mut self.left_out, 0)
    }

    /// Returns the patterns that nothing fitted, each behind its flag.
    pub(super) fn unmet(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = self.include.iter().chain(&self.exclude);
        all.filter(|given| !given.met).map(|given| (given.flag, given.text.as_str()))
    }
}

/// Marks every pattern that fits, not the first only.
fn meet(all: &mut [Given], name: &str) -> bool {
    let mut any = false;
    for given in all.iter_mut().filter(|given| given.pattern.names(name)) {
        given.met = true;
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowing(include: &[&str], exclude: &[&str]) -> Narrowing {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Narrowing::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn without_patterns_everything_stays() {
        let mut none = Narrowing::default();
        assert!(none.keeps("bp-kiosk"));
        assert_eq!((none.take_left_out(), none.unmet().count(), none.excludes("bp-kiosk")), (0, 0, None));
    }

    #[test]
    fn what_is_included_and_not_excluded_stays_with_and_without_bp() {
        let mut some = narrowing(&["k*", "bp-press"], &["kite"]);
        let names = ["bp-kiosk", "bp-kite", "bp-press", "bp-ink", "kiosk"];
        assert_eq!(names.map(|name| some.keeps(name)), [true, false, true, false, true]);
        assert_eq!((some.take_left_out(), some.take_left_out()), (2, 0));
        assert_eq!((some.excludes("bp-kite"), some.excludes("bp-ink")), (Some("kite"), None));
        assert_eq!(some.unmet().count(), 0);
    }

    #[test]
    fn patterns_that_met_nothing_are_told_with_their_flag() {
        let mut some = narrowing(&["kiosk", "kisok"], &["ink", "imk"]);
        some.keeps("bp-kiosk");
        some.hear("bp-ink");
        assert_eq!(some.unmet().collect::<Vec<_>>(), [("--include", "kisok"), ("--exclude", "imk")]);
        // That a source has a name is not enough for including it: somebody must want it.
        let mut other = narrowing(&["ink"], &[]);
        other.hear("bp-ink");
        assert_eq!(other.unmet().count(), 1);
        assert!(Narrowing::new(&["[".to_owned()], &[]).is_err());
    }
}
