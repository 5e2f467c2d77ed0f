//! Mirror files that a person wrote: read or refused, and what was read gives rules, tags and destinations.
#![no_main]

use airlift::discover::rules::Rules;
use airlift::discover::{Mapping, TagSelection, destination};
use airlift::document::mirror::{ChartWish, MirrorManifest, Wish};
use airlift::model::{ImageRef, Tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mirror) = MirrorManifest::read(bytes, "fuzz") else { return };
    let image: ImageRef = "registry.example/team/app:1.0".parse().expect("a reference");
    if let Ok(rules) = Rules::new(&mirror) {
        let _ = (rules.ignored_text("registry.example/team/app:1.0"), rules.ignored_tags(&image.repository));
        let _ = (rules.substitute(&image.repository), rules.platforms(&image.repository), rules.unused());
    }
    if let Ok(mapping) = Mapping::new(&mirror) {
        assert_eq!(mapping.destination(&image), destination(&mirror, &image));
    }
    let tags: Vec<Tag> = ["1.0", "1.10.0-rc.1", "v2", "latest"].iter().map(|tag| tag.parse().expect("a tag")).collect();
    let charts = mirror.charts.iter().filter_map(|chart| match &chart.wish {
        ChartWish::Artifact(wish) => Some(wish),
        _ => None,
    });
    for wish in mirror.images.iter().chain(&mirror.artifacts).map(|source| &source.wish).chain(charts) {
        if let Wish::Tags { tags: wish, .. } = wish
            && let Ok(selection) = TagSelection::new(wish)
        {
            assert!(selection.select(&tags).iter().all(|tag| tags.contains(tag)));
        }
    }
});
