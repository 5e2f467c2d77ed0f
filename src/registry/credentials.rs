//! Credentials as container tools keep them: `config.json` of docker, `auth.json` of podman, helpers, and explicit ones.
//!
//! Order of a look-up: what was given explicitly, then file by file as they were handed in. Within a file: the
//! helper named for the host, then `auths` from the longest matching `host/path` down to the host, then the
//! file's general store. This room opens no file and starts no program: bytes and a [`Runner`] are handed in.

use crate::model::json;
use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What we may show to one host.
#[derive(Debug, Clone)]
pub enum Credential {
    /// User (or robot) and password.
    Basic {
        /// Name of the account.
        user: String,
        /// Its password or secret.
        password: SecretString,
    },
    /// Refresh token of an OAuth2 token service.
    Identity(SecretString),
}

/// What a credential helper answered.
#[derive(Debug, Clone)]
pub struct HelperOutput {
    /// Whether it ended with status 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// Runs `PROGRAM get` with the second argument on standard input.
pub type Runner = Arc<dyn Fn(&str, &str) -> io::Result<HelperOutput> + Send + Sync>;

/// Why credentials cannot be used. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not the JSON of an auth file.
    #[error("the auth file does not parse: {0}")]
    File(json::JsonError),
    /// `auth` of an entry is not base64 of `user:password`.
    #[error("the entry for {0:?} is not base64 of user:password")]
    Entry(String),
    /// A helper's name that could be a path.
    #[error("{0:?} is no name of a credential helper")]
    HelperName(String),
    /// A file names a helper and the caller gave no way to run one.
    #[error("the helper {0} is configured, but helpers are not run here")]
    NoRunner(String),
    /// A helper that did not run.
    #[error("{program} did not run")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A helper whose answer is no JSON with `Username` and `Secret`.
    #[error("{0} gave an answer that does not parse")]
    Answer(String),
}

/// What helpers answered, by program and host.
type Answers = HashMap<(String, String), Option<Credential>>;

/// All credentials of a run.
#[derive(Clone, Default)]
pub struct Credentials {
    explicit: BTreeMap<String, Credential>,
    files: Vec<AuthFile>,
    runner: Option<Runner>,
    asked: Arc<Mutex<Answers>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.iter().flat_map(|file| file.auths.keys());
        f.debug_set().entries(self.explicit.keys().chain(files)).finish()
    }
}

#[derive(Clone, Default)]
struct AuthFile {
    auths: BTreeMap<String, Credential>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileForm {
    #[serde(default)]
    auths: BTreeMap<String, EntryForm>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct EntryForm {
    #[serde(default, deserialize_with = "secret")]
    auth: Option<SecretString>,
    username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<SecretString>,
    #[serde(default, deserialize_with = "secret")]
    identitytoken: Option<SecretString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperForm {
    #[serde(default)]
    username: String,
    #[serde(deserialize_with = "secret")]
    secret: Option<SecretString>,
}

/// Reads a secret straight into a type that does not print.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// Names under which the credentials for docker.io are kept.
const DOCKER_IO: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];
/// What helpers know docker.io as.
const DOCKER_IO_SERVER: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Adds an account for `place`, a host (`name[:port]`) or a repository prefix (`host/path`); it wins over all files.
    #[must_use]
    pub fn with_basic(mut self, place: &str, user: &str, password: impl Into<SecretString>) -> Self {
        let credential = Credential::Basic { user: user.to_owned(), password: password.into() };
        self.explicit.insert(normal(place), credential);
        self
    }

    /// Adds an auth file; files added earlier win.
    pub fn with_file(mut self, bytes: &[u8]) -> Result<Self, CredentialError> {
        let form: FileForm = json::parse(bytes).map_err(CredentialError::File)?;
        let mut file = AuthFile { store: form.creds_store.filter(|s| !s.is_empty()), ..AuthFile::default() };
        for (key, entry) in form.auths {
            if let Some(credential) = entry.read(&key)? {
                file.auths.insert(normal(&key), credential);
            }
        }
        for (key, helper) in form.cred_helpers {
            file.helpers.insert(normal(&key), helper);
        }
        for helper in file.helpers.values().chain(&file.store) {
            let good = !helper.starts_with('.')
                && helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !good {
                return Err(CredentialError::HelperName(helper.clone()));
            }
        }
        self.files.push(file);
        Ok(self)
    }

    /// Says how helpers are run. Without it, a host for which a file names a helper is an error.
    #[must_use]
    pub fn with_runner(mut self, runner: Runner) -> Self {
        self.runner = Some(runner);
        self
    }

    /// Returns what may be shown for the repository `path` on `host`, where there is anything.
    pub fn find(&self, host: &str, path: &str) -> Result<Option<Credential>, CredentialError> {
        let whole = normal(&format!("{host}/{path}"));
        if let Some(found) = longest(&self.explicit, &whole) {
            return Ok(Some(found));
        }
        let host = normal(host);
        for file in &self.files {
            if let Some(helper) = file.helpers.get(&host)
                && let Some(found) = self.ask(helper, &host)?
            {
                return Ok(Some(found));
            }
            if let Some(found) = longest(&file.auths, &whole) {
                return Ok(Some(found));
            }
            if let Some(helper) = &file.store
                && let Some(found) = self.ask(helper, &host)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Asks a helper, once for each host.
    fn ask(&self, helper: &str, host: &str) -> Result<Option<Credential>, CredentialError> {
        let program = format!("docker-credential-{helper}");
        let key = (program.clone(), host.to_owned());
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked.get(&key) {
            return Ok(known.clone());
        }
        let runner = self.runner.as_ref().ok_or_else(|| CredentialError::NoRunner(program.clone()))?;
        let server = if host == "docker.io" { DOCKER_IO_SERVER } else { host };
        let output =
            runner(&program, server).map_err(|source| CredentialError::Run { program: program.clone(), source })?;
        // A helper that knows nothing ends with an error; the words differ from one to the other.
        let found = if output.success { Some(read_helper(&program, &output.stdout)?) } else { None };
        asked.insert(key, found.clone());
        Ok(found)
    }
}

fn read_helper(program: &str, stdout: &[u8]) -> Result<Credential, CredentialError> {
    let unclear = || CredentialError::Answer(program.to_owned());
    let form: HelperForm = serde_json::from_slice(stdout).map_err(|_| unclear())?;
    let secret = form.secret.ok_or_else(unclear)?;
    Ok(match form.username.as_str() {
        "<token>" => Credential::Identity(secret),
        _ => Credential::Basic { user: form.username, password: secret },
    })
}

impl EntryForm {
    fn read(self, key: &str) -> Result<Option<Credential>, CredentialError> {
        let some = |secret: Option<SecretString>| secret.filter(|s| !s.expose_secret().is_empty());
        if let Some(token) = some(self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(auth) = some(self.auth) {
            return decode(auth.expose_secret()).map(Some).ok_or_else(|| CredentialError::Entry(key.to_owned()));
        }
        match (self.username.filter(|u| !u.is_empty()), self.password) {
            (Some(user), Some(password)) => Ok(Some(Credential::Basic { user, password })),
            _ => Ok(None),
        }
    }
}

fn decode(auth: &str) -> Option<Credential> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok()?;
    let text = SecretString::from(String::from_utf8(bytes).ok()?);
    let (user, password) = text.expose_secret().trim_end_matches('\0').split_once(':')?;
    (!user.is_empty()).then(|| Credential::Basic { user: user.to_owned(), password: password.into() })
}

/// Returns the entry of the longest prefix of `host/path/parts` that has one.
fn longest(entries: &BTreeMap<String, Credential>, whole: &str) -> Option<Credential> {
    let mut prefix = whole;
    loop {
        if let Some(found) = entries.get(prefix) {
            return Some(found.clone());
        }
        prefix = prefix.rsplit_once('/')?.0;
    }
}

/// Brings the spellings of one place into one: no scheme, no API path, one name for docker.io.
fn normal(key: &str) -> String {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let bare = ["/v1", "/v2"].iter().find_map(|api| bare.strip_suffix(api)).unwrap_or(bare);
    let (host, path) = bare.split_once('/').map_or((bare, None), |(host, path)| (host, Some(path)));
    let host = if DOCKER_IO.contains(&host) { "docker.io".to_owned() } else { host.to_ascii_lowercase() };
    match path {
        Some(path) => format!("{host}/{path}"),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn shown(credential: Option<Credential>) -> String {
        match credential {
            None => "-".to_owned(),
            Some(Credential::Basic { user, password }) => format!("{user}:{}", password.expose_secret()),
            Some(Credential::Identity(token)) => format!("<token>:{}", token.expose_secret()),
        }
    }

    fn auth(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn the_shapes_of_docker_and_podman_are_read() {
        let file = format!(
            r#"{{"auths":{{"h.example":{{"auth":"{}"}},"https://i.example:8443/v2/":{{"username":"u","password":"p:q"}},
               "https://index.docker.io/v1/":{{"identitytoken":"id","auth":"{}"}},"empty.example":{{}}}},"HttpHeaders":{{}}}}"#,
            auth("robot$x:a:b"),
            auth("u:")
        );
        let credentials = Credentials::default().with_file(file.as_bytes()).unwrap();
        let find = |host: &str| shown(credentials.find(host, "a/b").unwrap());
        assert_eq!(find("h.example"), "robot$x:a:b");
        assert_eq!(find("i.example:8443"), "u:p:q");
        assert_eq!(find("docker.io"), "<token>:id");
        assert_eq!((find("empty.example").as_str(), find("h.example:1").as_str()), ("-", "-"));
    }

    #[test]
    fn the_longest_path_wins_and_explicit_ones_win_over_files() {
        let file = format!(
            r#"{{"auths":{{"h.example":{{"auth":"{}"}},"h.example/a":{{"auth":"{}"}},"h.example/a/b/c":{{"auth":"{}"}}}}}}"#,
            auth("host:1"),
            auth("project:2"),
            auth("deep:3")
        );
        let credentials = Credentials::default().with_file(file.as_bytes()).unwrap();
        let find = |c: &Credentials, path: &str| shown(c.find("h.example", path).unwrap());
        assert_eq!(find(&credentials, "x"), "host:1");
        assert_eq!(find(&credentials, "a/b"), "project:2");
        assert_eq!(find(&credentials, "a/b/c"), "deep:3");
        assert_eq!(find(&credentials, "ab"), "host:1");
        let explicit = credentials.with_basic("h.example", "me", "x");
        assert_eq!(find(&explicit, "a/b/c"), "me:x");
    }

    #[test]
    fn helpers_are_asked_once_and_know_docker_io_by_its_old_name() {
        let count = Arc::new(AtomicU32::new(0));
        let (seen, runs) = (Arc::new(Mutex::new(Vec::new())), count.clone());
        let log = seen.clone();
        let runner: Runner = Arc::new(move |program, server| {
            runs.fetch_add(1, Ordering::Relaxed);
            log.lock().unwrap().push(format!("{program} {server}"));
            let known = server == "h.example";
            Ok(HelperOutput { success: known, stdout: br#"{"Username":"<token>","Secret":"s"}"#.to_vec() })
        });
        let file = br#"{"credHelpers":{"h.example":"ecr"},"credsStore":"desktop"}"#;
        let credentials = Credentials::default().with_file(file).unwrap().with_runner(runner);
        assert_eq!(shown(credentials.find("h.example", "a").unwrap()), "<token>:s");
        assert_eq!(shown(credentials.clone().find("h.example", "b").unwrap()), "<token>:s");
        assert_eq!(shown(credentials.find("docker.io", "library/x").unwrap()), "-");
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let expected = ["docker-credential-ecr h.example", "docker-credential-desktop https://index.docker.io/v1/"];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn broken_files_are_refused_without_their_secrets() {
        let refused = |text: &str| Credentials::default().with_file(text.as_bytes()).err().unwrap().to_string();
        assert!(refused(r#"{"auths":{"h":{"auth":"hunter2!"}}}"#).contains("base64 of user:password"));
        assert!(!refused(r#"{"auths":{"h":{"auth":"hunter2!"}}}"#).contains("hunter2"));
        assert!(refused("{").contains("does not parse"));
        assert!(refused(r#"{"credsStore":"../../bin/sh"}"#).contains("no name of a credential helper"));
        let bare = Credentials::default().with_file(br#"{"credsStore":"x"}"#).unwrap();
        assert!(matches!(bare.find("h", "a"), Err(CredentialError::NoRunner(_))));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let credentials = Credentials::default().with_basic("h.example", "u", "hunter2");
        let printed = format!("{credentials:?} {:?}", credentials.find("h.example", "a").unwrap());
        assert!(printed.contains("h.example") && !printed.contains("hunter2"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused_without_a_panic(text in "\\PC{0,120}", key in "\\PC{0,30}") {
            let _ = Credentials::default().with_file(text.as_bytes());
            let entry = serde_json::json!({"auths": {key.clone(): {"auth": text}}}).to_string();
            if let Ok(credentials) = Credentials::default().with_file(entry.as_bytes()) {
                let _ = credentials.find(&key, &key);
            }
        }
    }
}
