//! The functions that templates may call: Go's own, sprig's and Helm's.
//!
//! Each takes what its original takes and complains where that one does. Made-up values (passwords, keys,
//! certificates, random letters) are placeholders, the same in every run: they never name an image.

pub(super) mod compare;
mod convert;
mod data;
mod dict;
mod encode;
mod list;
mod made_up;
mod math;
pub(super) mod methods;
mod paths;
mod pattern;
mod templates;
mod text;
pub(super) mod time;
mod toml;
mod yaml;

use super::template::Function;

/// Every function, in groups.
const GROUPS: [&[Function]; 13] = [
    compare::FUNCTIONS,
    convert::FUNCTIONS,
    data::FUNCTIONS,
    dict::FUNCTIONS,
    encode::FUNCTIONS,
    list::FUNCTIONS,
    made_up::FUNCTIONS,
    math::FUNCTIONS,
    paths::FUNCTIONS,
    pattern::FUNCTIONS,
    templates::FUNCTIONS,
    text::FUNCTIONS,
    time::FUNCTIONS,
];

/// Returns the function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    GROUPS.iter().flat_map(|group| group.iter()).find(|function| function.name == name)
}

/// Makes an entry of a group.
const fn function(
    name: &'static str,
    run: fn(
        &mut super::template::Engine,
        &super::template::Arguments,
    ) -> Result<super::template::Value, super::template::Trouble>,
) -> Function {
    Function { name, run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_function_is_there_twice() {
        let mut seen = BTreeSet::new();
        for function in GROUPS.iter().flat_map(|group| group.iter()) {
            assert!(seen.insert(function.name), "{}", function.name);
        }
        assert!(seen.len() > 200, "{}", seen.len());
    }
}
