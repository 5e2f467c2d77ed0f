//! What a hostile chart may cost: size, depth, work. Everything past a limit is an error that says which.

use crate::chart_render::{PRESS, chart, rendered, request};
use airlift::chart::{Chart, ChartError, OwnRenderer, RenderError, Renderer};
use airlift::model::limits;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Packs members as a gzipped tar: path, type of the entry, content.
fn archive(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for (path, kind, content) in members {
        let mut header = tar::Header::new_ustar();
        // Not `set_path`, which refuses what a hostile archive has.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("../../etc/passwd").unwrap();
        }
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        gzip.write_all(content).unwrap();
        gzip.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
    }
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const ABOUT: (&str, tar::EntryType, &[u8]) = ("press/Chart.yaml", FILE, b"name: press\nversion: 1.0.0\n");

fn read(members: &[(&str, tar::EntryType, &[u8])]) -> Result<Chart, ChartError> {
    Chart::from_archive(archive(members).as_slice(), "press.tgz")
}

fn refused(members: &[(&str, tar::EntryType, &[u8])]) -> String {
    read(members).unwrap_err().to_string()
}

#[test]
fn an_archive_that_leads_outside_is_refused_with_the_member() {
    let outside: [(&str, tar::EntryType, &str); 6] = [
        ("press/../../x", FILE, "leads outside"),
        ("/press/x", FILE, "absolute"),
        ("x", FILE, "outside of the chart's folder"),
        ("press/link", tar::EntryType::Symlink, "Symlink"),
        ("press/link", tar::EntryType::Link, "Link"),
        ("press/pipe", tar::EntryType::Fifo, "Fifo"),
    ];
    for (path, kind, words) in outside {
        let error = refused(&[ABOUT, (path, kind, b"")]);
        assert!(error.contains(words) && error.contains("press.tgz"), "{path}: {error}");
    }
    assert!(refused(&[ABOUT, ("press/x", FILE, b"1"), ("press/./x", FILE, b"2")]).contains("twice"));
    assert!(refused(&[("press/values.yaml", FILE, b"")]).contains("no Chart.yaml"));
    assert!(matches!(Chart::from_archive(&b"nonsense"[..], "x.tgz"), Err(ChartError::Archive { .. })));
    let whole = archive(&[ABOUT, ("press/templates/a.yaml", FILE, &[b'x'; 2000])]);
    assert!(Chart::from_archive(&whole[..whole.len() / 2], "x.tgz").is_err(), "half an archive is no chart");
}

#[test]
fn an_archive_is_read_with_the_archives_below_it() {
    let below = archive(&[
        ("part/Chart.yaml", FILE, b"name: part\nversion: 2.0.0\n"),
        ("part/templates/p.yaml", FILE, b"a: 1"),
    ]);
    let whole = [ABOUT, ("press/charts/part-2.0.0.tgz", FILE, below.as_slice()), ("press/charts/_old/x", FILE, b"")];
    let read = read(&whole).unwrap();
    assert_eq!((read.dependencies.len(), read.dependencies[0].metadata.name.as_str()), (1, "part"));
    assert!(read.missing_dependencies().is_empty());
}

#[test]
fn entries_of_an_archive_are_counted() {
    let names: Vec<String> = (1..=limits::CHART_ENTRIES).map(|n| format!("press/f{n}")).collect();
    let members = |count: usize| {
        let files = names[..count].iter().map(|name| (name.as_str(), FILE, &b""[..]));
        [ABOUT].into_iter().chain(files).collect::<Vec<_>>()
    };
    assert!(read(&members(limits::CHART_ENTRIES - 1)).is_ok());
    assert!(refused(&members(limits::CHART_ENTRIES)).contains("limit of 20000 entries"));
}

#[test]
fn a_file_of_a_chart_is_read_up_to_the_limit() {
    let file = vec![b' '; usize::try_from(limits::CHART_FILE_BYTES).unwrap() + 1];
    assert!(read(&[ABOUT, ("press/big", FILE, &file[1..])]).is_ok());
    assert!(refused(&[ABOUT, ("press/big", FILE, &file)]).contains("the limit is 5242880"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Chart.yaml"), "name: press\nversion: 1.0.0\n").unwrap();
    std::fs::write(folder.path().join("big"), &file).unwrap();
    assert!(Chart::from_folder(folder.path()).unwrap_err().to_string().contains("the limit is 5242880"));
}

#[test]
fn files_of_a_chart_and_of_those_below_it_are_measured_together() {
    let file = vec![0; usize::try_from(limits::CHART_FILE_BYTES).unwrap()];
    let names: Vec<String> = (0..19).map(|n| format!("part/f{n}")).collect();
    let files = names.iter().map(|name| (name.as_str(), FILE, file.as_slice()));
    let about = ("part/Chart.yaml", FILE, &b"name: part\nversion: 1.0.0\n"[..]);
    let below = archive(&[about].into_iter().chain(files).collect::<Vec<_>>());
    let part = ("press/charts/part.tgz", FILE, below.as_slice());
    assert!(read(&[ABOUT, part]).is_ok());
    assert!(refused(&[ABOUT, part, ("press/f", FILE, &file)]).contains("104857600 bytes for a whole chart"));
}

#[test]
fn folders_and_charts_within_one_another_end() {
    let deep = |depth: usize| format!("press/{}x", "a/".repeat(depth - 1));
    // The old form of a header has room for a hundred bytes of a path.
    assert!(read(&[ABOUT, (&deep(limits::CHART_DEPTH), FILE, b"")]).is_ok());
    assert!(refused(&[ABOUT, (&deep(limits::CHART_DEPTH + 1), FILE, b"")]).contains("nested too deep"));
    let nested = |count: usize| {
        (0..count).fold(archive(&[ABOUT]), |inner, _| archive(&[ABOUT, ("press/charts/p.tgz", FILE, inner.as_slice())]))
    };
    assert!(Chart::from_archive(nested(limits::CHART_NESTING).as_slice(), "x").is_ok());
    let error = Chart::from_archive(nested(limits::CHART_NESTING + 1).as_slice(), "x").unwrap_err();
    assert!(matches!(error, ChartError::TooDeep { .. }), "{error}");
}

/// Renders one template and expects that a limit ends it.
fn limited(template: &str) -> String {
    let chart = chart(&[PRESS, ("templates/a.yaml", template)]);
    match OwnRenderer.render(&chart, &request(&[])) {
        Err(RenderError::Limit { why, template, .. }) => {
            assert!(template.starts_with("press/templates/a.yaml"), "{template}");
            why
        }
        other => panic!("{template}: {other:?}"),
    }
}

#[test]
fn what_a_template_makes_is_measured() {
    let limit = format!("more than {} bytes", limits::RENDER_BYTES);
    for hostile in [
        format!(r#"{{{{ repeat {} "x" | len }}}}"#, limits::RENDER_BYTES + 1),
        r#"{{ $x := "xx" }}{{ range until 100 }}{{ $x = print $x $x }}{{ end }}"#.to_owned(),
        r#"{{ $x := list 1 2 }}{{ range until 100 }}{{ $x = concat $x $x }}{{ end }}"#.to_owned(),
        r#"{{ indent 1000000000 "a\nb" }}"#.to_owned(),
        r#"{{ $x := repeat 100000 "x" }}{{ $x | replace "x" $x }}"#.to_owned(),
        r#"{{ $x := repeat 100000 "x" }}{{ regexReplaceAll "x" $x $x }}"#.to_owned(),
    ] {
        assert_eq!(limited(&hostile), limit, "{hostile}");
    }
    // A call counts 32 bytes beside what it gives, and what it gives is counted where it is made.
    let fits = format!(r#"{{{{ repeat {} "x" | len }}}}"#, limits::RENDER_BYTES / 2 - 1000);
    assert_eq!(rendered(&chart(&[PRESS, ("templates/a.yaml", &fits)])), (limits::RENDER_BYTES / 2 - 1000).to_string());
}

#[test]
fn what_a_template_does_is_counted() {
    let loops = format!(
        "{{{{ range until {} }}}}{{{{ range $.l }}}}{{{{ end }}}}{{{{ end }}}}",
        limits::RENDER_STEPS / 100_000 + 1
    );
    let hostile = format!(r#"{{{{ $_ := set $ "l" (until 100000) }}}}{loops}"#);
    assert_eq!(limited(&hostile), format!("more than {} steps", limits::RENDER_STEPS));
    for more in [
        "{{ until 1000000000 }}",
        "{{ range 1000000000 }}{{ end }}",
        "{{ seq 1 1000000000 }}",
        "{{ printf \"%100000000d\" 1 }}",
    ] {
        limited(more);
    }
}

#[test]
fn templates_within_templates_end_at_the_limit() {
    let recursive = |count: usize| {
        let define = r#"{{ define "r" }}{{ if gt . 0 }}{{ include "r" (sub . 1) }}{{ end }}{{ end }}"#;
        format!(r#"{define}x{{{{ include "r" (int64 {count}) }}}}"#)
    };
    // The file is the first, the named template with nothing left to do the last.
    let fits = recursive(limits::RENDER_DEPTH - 2);
    assert_eq!(rendered(&chart(&[PRESS, ("templates/a.yaml", &fits)])), "x");
    assert!(limited(&recursive(limits::RENDER_DEPTH - 1)).contains("more than 100 deep"));
    limited(r#"{{ define "x" }}{{ tpl "{{ include \"x\" . }}" . }}{{ end }}{{ include "x" . }}"#);
    // As deep as it can get: blocks in each of the templates within one another.
    let blocks = 90;
    let body = format!("{}{{{{ include \"d\" . }}}}{}", "{{ if true }}".repeat(blocks), "{{ end }}".repeat(blocks));
    limited(&format!(r#"{{{{ define "d" }}}}{body}{{{{ end }}}}{{{{ include "d" . }}}}"#));
}

#[test]
fn a_value_that_holds_itself_is_no_endless_loop() {
    for what in [
        "$x",
        "toYaml $x",
        "toJson $x",
        "deepCopy $x",
        "toToml $x",
        "merge (deepCopy (dict)) $x (dict \"a\" $x) | toString",
    ] {
        limited(&format!(r#"{{{{ $x := dict "a" 1 }}}}{{{{ $_ := set $x "self" $x }}}}{{{{ {what} }}}}"#));
    }
}

#[test]
fn a_template_that_nests_too_deep_is_refused() {
    for deep in [
        format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200)),
        "{{ if true }}".repeat(200) + &"{{ end }}".repeat(200),
        "{{ if true }}".to_owned() + &"{{ else if true }}".repeat(200) + "{{ end }}",
    ] {
        let chart = chart(&[PRESS, ("templates/a.yaml", &deep)]);
        let error = OwnRenderer.render(&chart, &request(&[])).unwrap_err().to_string();
        assert!(error.contains("nested deeper than 100"), "{error}");
    }
}
