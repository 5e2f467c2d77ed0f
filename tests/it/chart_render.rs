//! Charts are read within limits and rendered as Helm renders them. The referee is the `helm` program, in
//! `scripts/real/charts.sh`; here stand the traps, each with a chart of its own.

use airlift::chart::Chart;

/// A chart of files, written as a folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn chart(files: &[(&str, &str)]) -> Chart {
    Chart::from_folder(folder(files).path()).unwrap_or_else(|e| panic!("{e}"))
}

const PRESS: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: press\nversion: 1.2.3\nappVersion: \"4.5\"\n");

#[test]
fn helmignore_keeps_files_out_of_the_chart() {
    let read = chart(&[
        PRESS,
        (".helmignore", "templates/extra/\n*.bak\n"),
        ("templates/extra/plain.yaml", "image: a"),
        ("templates/web.yaml", "image: b"),
        ("old.bak", "x"),
    ]);
    let paths: Vec<&str> = read.files().map(|(path, _)| path).collect();
    assert_eq!(paths, [".helmignore", "Chart.yaml", "templates/web.yaml"]);
}
