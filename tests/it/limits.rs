//! Every hard limit on foreign input, tried at the limit and one past it. [`TABLE`] says where.

use crate::stage::{Ran, Stage, small};
use airlift::bundle::{BundlePlan, Options as Cut, Papers, PlanError};
use airlift::document::pattern::Glob;
use airlift::model::port::ImageSource;
use airlift::model::{FaultKind, ImageRef, Repository, Tag, json, limits};
use airlift::registry::{PlainHttp, Remote, Settings};
use airlift::serve::{Answer, EmbeddedRegistry, Faults, Options, Rule};
use airlift::testkit::image::{Sample, SampleImage};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Which test tries which limit: constant, file, test.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "MANIFEST_BYTES",
        "tests/it/registry_client/documents.rs",
        "a_manifest_is_read_up_to_the_limit_and_not_a_byte_further",
    ),
    ("MANIFEST_WARN_BYTES", "tests/it/limits.rs", "a_document_that_a_destination_does_not_take_is_told_beforehand"),
    ("SIGNATURE_BYTES", "tests/it/trust.rs", "layers_are_wanted_only_where_they_can_be_judged_within_the_limits"),
    (
        "SIGNATURE_BUNDLE_BYTES",
        "tests/it/trust.rs",
        "layers_are_wanted_only_where_they_can_be_judged_within_the_limits",
    ),
    ("ATTESTATION_BYTES", "tests/it/trust.rs", "layers_are_wanted_only_where_they_can_be_judged_within_the_limits"),
    ("EVIDENCE_BYTES", "tests/it/trust.rs", "layers_are_wanted_only_where_they_can_be_judged_within_the_limits"),
    ("SIGNATURES_PER_SUBJECT", "tests/it/trust.rs", "more_signatures_than_the_limit_are_not_judged_and_said_so"),
    ("CERTIFICATE_CHAIN", "tests/it/notation.rs", "chains_timestamps_and_stores_end_at_their_limits"),
    ("CERTIFICATE_BYTES", "tests/it/notation.rs", "chains_timestamps_and_stores_end_at_their_limits"),
    ("TIMESTAMP_BYTES", "tests/it/notation.rs", "chains_timestamps_and_stores_end_at_their_limits"),
    ("STORE_CERTIFICATES", "tests/it/notation.rs", "chains_timestamps_and_stores_end_at_their_limits"),
    ("NAME_BYTES", "src/document/policy/distinguished_name.rs", "what_can_be_read_in_two_ways_is_refused_in_words"),
    ("REFERRERS_PER_SUBJECT", "tests/it/limits.rs", "referrers_of_one_subject_are_counted"),
    ("REFERRER_DEPTH", "tests/it/limits.rs", "a_chain_of_subjects_ends"),
    ("CHALLENGE_BYTES", "src/registry/auth.rs", "a_challenge_that_leads_astray_is_an_error"),
    ("TOKEN_BYTES", "src/registry/auth.rs", "a_token_is_read_from_either_field_with_any_life"),
    ("ERROR_BODY_BYTES", "tests/it/limits.rs", "an_error_is_read_up_to_the_limit"),
    ("ERROR_WORDS_BYTES", "tests/it/limits.rs", "an_error_is_read_up_to_the_limit"),
    ("REDIRECTS", "tests/it/registry_client/paths.rs", "redirects_are_counted_and_judged"),
    ("LIST_PAGES", "tests/it/limits.rs", "pages_of_tags_are_counted"),
    ("LIST_ENTRIES", "tests/it/limits.rs", "tags_are_counted_and_their_page_is_measured"),
    ("LIST_PAGE_BYTES", "tests/it/limits.rs", "tags_are_counted_and_their_page_is_measured"),
    ("INDEX_DEPTH", "tests/it/limits.rs", "indexes_within_indexes_end"),
    ("INDEX_CHILDREN", "src/model/image.rs", "counts_are_bounded_at_the_limit"),
    ("LAYERS", "src/model/image.rs", "counts_are_bounded_at_the_limit"),
    ("DESCRIPTOR_SIZE", "src/model/descriptor.rs", "a_size_is_an_integer_up_to_the_limit"),
    ("REFERENCE_BYTES", "tests/it/limits.rs", "references_and_patterns_end"),
    ("REPOSITORY_CHARS", "tests/it/limits.rs", "references_and_patterns_end"),
    ("TAG_CHARS", "src/model/reference.rs", "a_tag_of_128_characters_is_the_longest"),
    ("PAPER_BYTES", "tests/it/limits.rs", "a_paper_is_read_up_to_the_limit"),
    ("CATALOGUE_FILES", "src/checkout/archive.rs", "an_archive_ends_at_the_number_of_files"),
    ("CATALOGUE_ARCHIVE_BYTES", "src/checkout/archive.rs", "paths_that_lead_elsewhere_and_broken_archives_are_refused"),
    ("KUBECONFIG_BYTES", "tests/it/cluster.rs", "a_kubeconfig_and_a_token_file_end_at_the_limit"),
    ("CLUSTER_PAGE_BYTES", "tests/it/cluster.rs", "a_page_is_read_up_to_the_limit"),
    ("NODE_LIST_BYTES", "src/node/run.rs", "a_list_is_read_up_to_the_limit_and_not_a_byte_further"),
    ("NESTING", "src/document/yaml.rs", "nesting_ends_at_the_limit"),
    ("NESTING", "tests/it/limits.rs", "nesting_of_json_ends"),
    ("VOLUMES", "src/bundle/layout.rs", "volumes_end_at_the_limit"),
    ("HEAD_DOCUMENT_BYTES", "src/bundle/walk.rs", "documents_of_the_head_end_at_their_limits"),
    ("HEAD_DOCUMENT_BYTES", "tests/it/limits.rs", "a_document_of_the_head_is_packed_up_to_the_limit"),
    ("SIGNERS_PER_RULE", "src/document/policy.rs", "groups_and_constraints_end_at_their_limits"),
    ("CONSENT_DEPTH", "src/document/policy.rs", "groups_and_constraints_end_at_their_limits"),
    ("CONSTRAINTS", "src/document/policy.rs", "groups_and_constraints_end_at_their_limits"),
    ("PREDICATE_BYTES", "src/trust/statement.rs", "a_predicate_is_looked_into_up_to_the_limit"),
    ("HEAD_BYTES", "src/bundle/walk.rs", "documents_of_the_head_end_at_their_limits"),
    ("COUNTERSIGNATURES", "src/bundle/countersign.rs", "more_than_the_limit_and_those_of_another_bundle_are_refused"),
    ("COUNTERSIGNATURE_BYTES", "src/bundle/countersign.rs", "sizes_end_at_their_limits"),
    ("COUNTERSIGNED_REPORT_BYTES", "src/bundle/countersign.rs", "sizes_end_at_their_limits"),
    ("CHART_YAML_BYTES", "src/document/chart_yaml.rs", "a_chart_yaml_is_read_up_to_the_limit_and_not_a_byte_further"),
    ("CHART_BYTES", "src/document/chart_yaml.rs", "an_archive_is_unpacked_up_to_the_limit_and_no_further"),
    ("CHART_ARCHIVE_BYTES", "src/flow/charts/read.rs", "an_archive_is_read_up_to_the_limit_and_checked"),
    ("DATED_TAGS", "tests/it/selection.rs", "dates_are_looked_up_for_so_many_tags_and_no_more"),
    ("FILE_PROBE_BYTES", "tests/it/made.rs", "a_large_file_is_pinned_by_its_stated_size_and_refused_without_one"),
    ("CHART_ENTRIES", "tests/it/chart_limits.rs", "entries_of_an_archive_are_counted"),
    ("CHART_FILE_BYTES", "tests/it/chart_limits.rs", "a_file_of_a_chart_is_read_up_to_the_limit"),
    ("CHART_BYTES", "tests/it/chart_limits.rs", "files_of_a_chart_and_of_those_below_it_are_measured_together"),
    ("CHART_DEPTH", "tests/it/chart_limits.rs", "folders_and_charts_within_one_another_end"),
    ("CHART_NESTING", "tests/it/chart_limits.rs", "folders_and_charts_within_one_another_end"),
    ("RENDER_BYTES", "tests/it/chart_limits.rs", "what_a_template_makes_is_measured"),
    ("RENDER_STEPS", "tests/it/chart_limits.rs", "what_a_template_does_is_counted"),
    ("RENDER_DEPTH", "tests/it/chart_limits.rs", "templates_within_templates_end_at_the_limit"),
    ("ARCHIVE_ENTRIES", "src/store/archive/tar_index.rs", "entries_and_their_names_are_counted"),
    ("ARCHIVE_NAME_BYTES", "src/store/archive/tar_index.rs", "names_and_headers_end_at_their_limits"),
    ("ARCHIVE_NAMES_BYTES", "src/store/archive/tar_index.rs", "entries_and_their_names_are_counted"),
    ("ARCHIVE_PAX_BYTES", "src/store/archive/tar_index.rs", "names_and_headers_end_at_their_limits"),
    ("ARCHIVE_SLACK_BYTES", "src/store/archive/unpack.rs", "what_grows_beyond_measure_ends_before_it_fills_a_disk"),
    ("ARCHIVE_RATIO", "src/store/archive/unpack.rs", "what_grows_beyond_measure_ends_before_it_fills_a_disk"),
    ("ARCHIVE_WINDOW_LOG", "src/store/archive/unpack.rs", "a_window_is_as_large_as_the_limit_and_no_larger"),
    ("ARCHIVE_PARTS", "src/store/archive/survey.rs", "archives_of_a_set_are_one_source_and_their_number_ends"),
];

fn text(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_limit_has_its_test() {
    let limits = text("src/model/limits.rs");
    let named: Vec<&str> = limits
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert!(named.len() > 20);
    for name in &named {
        assert!(TABLE.iter().any(|(limit, ..)| limit == name), "{name} has no test in the table");
    }
    for (limit, file, test) in TABLE {
        assert!(named.contains(limit), "{limit} is no limit");
        assert!(text(file).contains(&format!("fn {test}(")), "{file} has no test {test}");
    }
}

fn remote() -> Remote {
    Remote::new(Settings { plain_http: PlainHttp::All, retries: 0, ..Settings::default() }).unwrap()
}

fn bytes(limit: u64) -> usize {
    usize::try_from(limit).unwrap()
}

/// Publishes `image` and packs it without asking for a signature.
fn pack(stage: &Stage, image: &Sample) -> Ran {
    let reference = stage.publish("team/app", "1", image);
    stage.pack(&[&reference], "b", &["--allow-unsigned", "**"])
}

#[test]
fn a_document_that_a_destination_does_not_take_is_told_beforehand() {
    let padded = |length: usize| SampleImage::new(1).annotation("pad", &"x".repeat(length)).build();
    let frame = padded(0).root().bytes.len();
    for (more, code) in [(0, 0), (1, 50)] {
        let mut stage = Stage::new();
        let patient = Options { manifest_limit: limits::MANIFEST_BYTES, ..Options::new(stage.path("patient")) };
        stage.upstream = EmbeddedRegistry::start(patient).unwrap();
        let image = padded(bytes(limits::MANIFEST_WARN_BYTES) - frame + more);
        assert_eq!(image.root().bytes.len(), bytes(limits::MANIFEST_WARN_BYTES) + more);
        pack(&stage, &image).expect(0);
        let ran = stage.import("b.airlift", &[]).expect(code);
        if code != 0 {
            ran.says(&["4194305 bytes", "takes at most 4194304", "nothing was sent"]);
            assert_eq!(stage.enclave.counters().upload_put, 0);
        }
    }
}

#[test]
fn referrers_of_one_subject_are_counted() {
    let (stage, image) = (Stage::new(), small(1));
    let attach = |n: usize| {
        let note = Sample::referrer(&image, "application/vnd.example.note", n.to_string().as_bytes());
        note.push(&stage.remote, &stage.at("team/app"), None).unwrap();
    };
    stage.publish("team/app", "1", &image);
    (0..limits::REFERRERS_PER_SUBJECT).for_each(attach);
    pack(&stage, &image).expect(0);
    attach(limits::REFERRERS_PER_SUBJECT);
    std::fs::remove_file(stage.path("b.airlift")).unwrap();
    pack(&stage, &image).expect(40).says(&["257 referrers, the limit is 256", &image.digest().to_string()]);
}

#[test]
fn a_chain_of_subjects_ends() {
    for (referrers, code) in [(limits::REFERRER_DEPTH - 1, 0), (limits::REFERRER_DEPTH, 40)] {
        let (stage, image) = (Stage::new(), small(1));
        stage.publish("team/app", "1", &image);
        let mut last = image.clone();
        for n in 0..referrers {
            last = Sample::referrer(&last, "application/vnd.example.note", n.to_string().as_bytes());
            last.push(&stage.remote, &stage.at("team/app"), None).unwrap();
        }
        let ran = pack(&stage, &image).expect(code);
        if code != 0 {
            ran.says(&["referrers of referrers are more than 4 deep"]);
        }
    }
}

#[test]
fn indexes_within_indexes_end() {
    for (indexes, code) in [(limits::INDEX_DEPTH - 1, 0), (limits::INDEX_DEPTH, 40)] {
        let image = (0..indexes).fold(small(1), |below, _| Sample::index(&[below]));
        let ran = pack(&Stage::new(), &image).expect(code);
        if code != 0 {
            ran.says(&["more than 4 deep"]);
        }
    }
}

#[test]
fn an_error_is_read_up_to_the_limit() {
    let stage = Stage::new();
    let body = |length: usize| {
        let open = r#"{"errors":[{"code":"NO","message":"not today"}],"pad":""#;
        format!("{open}{}\"}}", "x".repeat(length - open.len() - 2))
    };
    let words = |length: usize| {
        let answer = Answer::new(400).header("Content-Type", "application/json").body(&body(length));
        stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/tags/list").answer(answer)));
        remote().tags(&stage.at("team/app")).unwrap_err().words
    };
    assert_eq!(words(limits::ERROR_BODY_BYTES), "NO: not today");
    let cut = words(limits::ERROR_BODY_BYTES + 1);
    assert_ne!(cut, "NO: not today", "what lies behind the limit is not read");
    assert!(cut.len() <= limits::ERROR_WORDS_BYTES + '…'.len_utf8(), "{}", cut.len());
    let printable = airlift::model::fault::printable;
    let fits = "x".repeat(limits::ERROR_WORDS_BYTES);
    assert_eq!(printable(&fits), fits);
    assert_eq!(printable(&format!("{fits}x")), format!("{fits}…"));
}

/// Serves a list of tags in so many pages, one tag on each.
fn serve_pages(pages: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer_pages(stream, pages)));
        }
    });
    host
}

fn answer_pages(stream: TcpStream, pages: usize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let page: usize = request
            .split_once("last=")
            .and_then(|(_, rest)| rest.split([' ', '&']).next()?.parse().ok())
            .map_or(1, |last: usize| last + 1);
        let body = format!(r#"{{"name":"team/app","tags":["{page}"]}}"#);
        let more = page < pages && request.contains("/tags/list");
        let link =
            if more { format!("Link: </v2/team/app/tags/list?last={page}>; rel=\"next\"\r\n") } else { String::new() };
        write!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{link}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}

#[test]
fn pages_of_tags_are_counted() {
    let tags = |pages: usize| remote().tags(&Repository::new(&serve_pages(pages), "team/app").unwrap());
    assert_eq!(tags(limits::LIST_PAGES).unwrap().len(), limits::LIST_PAGES);
    let fault = tags(limits::LIST_PAGES + 1).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooLarge);
    assert!(fault.to_string().contains("more than 10000 pages"), "{fault}");
}

#[test]
fn tags_are_counted_and_their_page_is_measured() {
    let stage = Stage::new();
    let tags = |body: &str| {
        let answer = Answer::new(200).header("Content-Type", "application/json").body(body);
        stage.upstream.set_faults(&Faults::none().with(Rule::on("GET", "/v2/*/tags/list").answer(answer)));
        remote().tags(&stage.at("team/app"))
    };
    // The same tag over and over counts each time: the limit is on what is read.
    let many = |count: usize| format!(r#"{{"name":"a","tags":["a"{}]}}"#, r#","a""#.repeat(count - 1));
    assert_eq!(tags(&many(limits::LIST_ENTRIES)).unwrap(), ["a".parse::<Tag>().unwrap()]);
    let fault = tags(&many(limits::LIST_ENTRIES + 1)).unwrap_err();
    assert!(fault.kind == FaultKind::TooLarge && fault.what.contains("more than 1000000 entries"), "{fault}");
    let page = |length: usize| {
        let list = r#"{"name":"a","tags":["a"]}"#;
        format!("{list}{}", " ".repeat(length - list.len()))
    };
    assert!(tags(&page(limits::LIST_PAGE_BYTES)).is_ok());
    let fault = tags(&page(limits::LIST_PAGE_BYTES + 1)).unwrap_err();
    assert!(fault.kind == FaultKind::TooLarge && fault.what.contains("more than 8388608 bytes"), "{fault}");
}

#[test]
fn references_and_patterns_end() {
    let why = |length: usize| "a".repeat(length).parse::<ImageRef>().unwrap_err().why;
    assert!(!why(limits::REFERENCE_BYTES).contains("4096"), "another limit comes first");
    assert!(why(limits::REFERENCE_BYTES + 1).contains("4096 bytes"));
    assert!(Glob::parse(&"a".repeat(limits::REFERENCE_BYTES)).is_ok());
    assert!(Glob::parse(&"a".repeat(limits::REFERENCE_BYTES + 1)).is_err());
    let host = "h.example";
    let path = |whole: usize| "a".repeat(whole - host.len() - 1);
    assert!(Repository::new(host, &path(limits::REPOSITORY_CHARS)).is_ok());
    assert!(Repository::new(host, &path(limits::REPOSITORY_CHARS + 1)).is_err());
}

#[test]
fn a_paper_is_read_up_to_the_limit() {
    let stage = Stage::new();
    pack(&stage, &small(1)).expect(0);
    let write = |length: u64| {
        let paper = r#"{"auths":{}}"#;
        let padding = " ".repeat(bytes(length) - paper.len());
        std::fs::write(stage.path("auth.json"), format!("{paper}{padding}")).unwrap();
        stage.import("b.airlift", &["--authfile", "auth.json", "--dry-run"])
    };
    write(limits::PAPER_BYTES).expect(0);
    write(limits::PAPER_BYTES + 1).expect(2).says(&["auth.json has more than 67108864 bytes"]);
}

#[test]
fn nesting_of_json_ends() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::check(deep(limits::NESTING - 1).as_bytes()).is_ok());
    assert!(json::check(deep(limits::NESTING + 1).as_bytes()).is_err());
}

#[test]
fn a_document_of_the_head_is_packed_up_to_the_limit() {
    let plan = |length: u64| {
        let evidence = vec![b' '; bytes(length)];
        let papers = Papers { index: b"{}".to_vec(), lock: b"{}".to_vec(), policy: None, evidence, base: None };
        BundlePlan::new(papers, Vec::new(), Cut { level: 1, ..Cut::default() })
    };
    assert!(plan(limits::HEAD_DOCUMENT_BYTES).is_ok());
    let error = plan(limits::HEAD_DOCUMENT_BYTES + 1).err();
    assert!(matches!(error, Some(PlanError::TooLarge { .. })), "{error:?}");
}
