//! `.helmignore`: which files of a folder are not in the chart. Follows Helm, not git: a rule that matches ends the
//! search, a rule with `!` ignores all that it does not match, and `**` is an error.

/// Rules in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    negated: bool,
    folders_only: bool,
    whole_path: bool,
}

impl Rules {
    /// Reads the rules of a `.helmignore`, and adds Helm's own: no files with a dot in front in `templates/`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rules = text.lines().map(Rule::parse).collect::<Result<Vec<_>, _>>()?;
        rules.push(Rule::parse("templates/.?*")?);
        Ok(Self { rules: rules.into_iter().flatten().collect() })
    }

    /// Returns whether the file or folder at `path` is left out.
    pub(super) fn ignores(&self, path: &str, is_folder: bool) -> bool {
        for rule in &self.rules {
            if rule.negated {
                if (rule.folders_only && !is_folder) || !rule.matches(path) {
                    return true;
                }
            } else if (!rule.folders_only || is_folder) && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.contains("**") {
            return Err(format!("{line:?}: two stars are not supported"));
        }
        if !well_formed(line) {
            return Err(format!("{line:?} is no pattern"));
        }
        let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (folders_only, pattern) = pattern.strip_suffix('/').map_or((false, pattern), |rest| (true, rest));
        let whole_path = pattern.contains('/');
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern).to_owned();
        Ok(Some(Self { pattern, negated, folders_only, whole_path }))
    }

    fn matches(&self, path: &str) -> bool {
        let name = if self.whole_path { path } else { path.rsplit('/').next().unwrap_or(path) };
        matches(&self.pattern, name)
    }
}

fn well_formed(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.next().is_none() => return false,
            '[' if !rest.any(|c| c == ']') => return false,
            _ => {}
        }
    }
    true
}

/// Matches a path as Go's `filepath.Match` does: `*` and `?` stop at a slash.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    // Where to go on when what follows the last star does not fit.
    let mut again: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    while t < path.len() || p < pattern.len() {
        let fits = match pattern.get(p) {
            Some('*') => {
                again = Some((p, t + 1));
                p += 1;
                continue;
            }
            Some(_) if t < path.len() => one(&pattern[p..], path[t]),
            _ => None,
        };
        match (fits, again) {
            (Some(length), _) => (p, t) = (p + length, t + 1),
            (None, Some((star, from))) if from <= path.len() && path[from - 1] != '/' => {
                again = Some((star, from + 1));
                (p, t) = (star + 1, from);
            }
            _ => return false,
        }
    }
    true
}

/// Matches one sign; returns how much of the pattern stands for it.
fn one(pattern: &[char], sign: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (sign != '/').then_some(1),
        '\\' => (pattern.get(1) == Some(&sign)).then_some(2),
        '[' => class(pattern, sign),
        same => (*same == sign).then_some(1),
    }
}

fn class(pattern: &[char], sign: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'^');
    let mut at = 1 + usize::from(negated);
    let mut inside = false;
    let first = at;
    while let Some(low) = pattern.get(at) {
        if *low == ']' && at > first {
            return (inside != negated && sign != '/').then_some(at + 1);
        }
        let (low, next) = if *low == '\\' { (*pattern.get(at + 1)?, at + 2) } else { (*low, at + 1) };
        let (high, next) = match (pattern.get(next), pattern.get(next + 1)) {
            (Some('-'), Some(high)) if *high != ']' => (*high, next + 2),
            _ => (low, next),
        };
        inside |= (low..=high).contains(&sign);
        at = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_helm_matches_them() {
        let fits = [
            ("*.yaml", "a.yaml"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("a/*/c", "a/b/c"),
            ("a*b*c", "aXbYbZc"),
            ("\\*", "*"),
            ("*", ""),
        ];
        for (pattern, path) in fits {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("*.yaml", "a/b.yaml"), ("a?c", "a/c"), ("[a-c]x", "dx"), ("a*", "ba"), ("a", "")] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn rules_are_those_of_helm() {
        let rules = Rules::parse("# note\n*.bak\ntemplates/extra/\n/top.txt\n").unwrap();
        for (path, folder) in
            [("a/b.bak", false), ("templates/extra", true), ("top.txt", false), ("templates/.x", false)]
        {
            assert!(rules.ignores(path, folder), "{path}");
        }
        for (path, folder) in [("templates/extra", false), ("a/top.txt", false), (".x", false), ("a.yaml", false)] {
            assert!(!rules.ignores(path, folder), "{path}");
        }
        assert!(Rules::parse("a/**").is_err());
        assert!(Rules::parse("[a").is_err());
        assert!(Rules::parse("!*.yaml").unwrap().ignores("a.txt", false));
    }
}
