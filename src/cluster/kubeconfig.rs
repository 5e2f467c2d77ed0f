//! Reads kubeconfig files: which server, how it is trusted, and who asks.
//!
//! Several files count as one, as `KUBECONFIG` has it: of two entries with one name the first wins. What a file says
//! is secret: an error tells the place and never quotes the line.

use crate::document::PaperError;
use crate::document::yaml::{self, Node};
use crate::model::limits;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::io::Read;
use std::path::{Path, PathBuf};
use url::Url;

/// Why a cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It does not parse.
    #[error("{place}:{line}:{column}: {why}")]
    Syntax {
        /// File.
        place: String,
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
        /// Reason in words, without what the file says.
        why: String,
    },
    /// It is no kubeconfig.
    #[error("{0} is no kubeconfig: it has neither clusters nor contexts")]
    Other(String),
    /// No context is named, and there is no current one.
    #[error("no context is current in {files}; choose one with --context: {known}")]
    NoContext {
        /// Files.
        files: String,
        /// Names of contexts.
        known: String,
    },
    /// Something that is referred to is not there.
    #[error("{files} has no {what} {name:?}; it has {known}")]
    Unknown {
        /// Files.
        files: String,
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// Name.
        name: String,
        /// Names that are there.
        known: String,
    },
    /// A field cannot be used.
    #[error("{place}: {what}: {why}")]
    Field {
        /// File and line.
        place: String,
        /// Field with the name of its entry.
        what: String,
        /// Reason in words.
        why: String,
    },
    /// The login is made by another program.
    #[error("user {user:?} logs in through {by}, which is not run here; hand a token in with --token-file")]
    Program {
        /// Name of the user's entry.
        user: String,
        /// Program or plugin.
        by: String,
    },
}

/// What a person chose beside the files.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Context; absent: the current one.
    pub context: Option<String>,
    /// File with a token, which stands for every login of the user.
    pub token_file: Option<PathBuf>,
}

/// Kubeconfig files, as many as were named.
pub struct Kubeconfigs {
    files: Vec<(PathBuf, Node)>,
}

/// How a cluster is asked.
pub struct Access {
    /// Name of the context.
    pub context: String,
    /// Name of the user's entry.
    pub user: String,
    /// Namespace of the context.
    pub namespace: Option<String>,
    pub(super) server: Url,
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) insecure: bool,
    pub(super) server_name: Option<String>,
    pub(super) proxy: Option<SecretString>,
    pub(super) authorization: Option<SecretString>,
    pub(super) identity: Option<SecretSlice<u8>>,
    pub(super) act_as: Vec<(&'static str, String)>,
}

impl Kubeconfigs {
    /// Reads the files that exist among `paths`; none of them existing is an error about the first.
    pub fn read(paths: &[PathBuf]) -> Result<Self, KubeconfigError> {
        let there: Vec<&PathBuf> = paths.iter().filter(|path| path.is_file()).collect();
        let there = if there.is_empty() { paths.iter().take(1).collect() } else { there };
        let mut files = Vec::new();
        for path in there {
            let bytes = read_file(path)?;
            files.push((path.clone(), parse(&bytes, &path.display().to_string())?));
        }
        Ok(Self { files })
    }

    /// Takes the text of one file that lies at `path`.
    pub fn of_bytes(bytes: &[u8], path: &Path) -> Result<Self, KubeconfigError> {
        Ok(Self { files: vec![(path.to_owned(), parse(bytes, &path.display().to_string())?)] })
    }

    /// Says how the chosen context's cluster is asked. Reads the files of certificates and tokens.
    pub fn access(&self, chosen: &Chosen) -> Result<Access, KubeconfigError> {
        let name = match &chosen.context {
            Some(name) => name.clone(),
            None => self.current()?,
        };
        let context = self.entry("contexts", "context", &name)?;
        let cluster = self.entry("clusters", "cluster", &context.need("cluster")?)?;
        let user_name = context.text("user").unwrap_or_default();
        // A context without a user asks without a login.
        let user = if user_name.is_empty() { None } else { Some(self.entry("users", "user", &user_name)?) };
        let token = chosen.token_file.as_deref().map(read_token).transpose()?;
        let (authorization, identity) = match (&user, token) {
            (_, Some(token)) => (Some(token), None),
            (Some(user), None) => (user.authorization()?, user.identity()?),
            (None, None) => (None, None),
        };
        Ok(Access {
            context: name,
            user: if user_name.is_empty() { "(none)".to_owned() } else { user_name },
            namespace: context.text("namespace"),
            server: cluster.server(authorization.is_some() || identity.is_some())?,
            authorities: cluster.bytes("certificate-authority")?,
            insecure: cluster.text("insecure-skip-tls-verify").as_deref() == Some("true"),
            server_name: cluster.text("tls-server-name"),
            proxy: cluster.text("proxy-url").map(SecretString::from),
            authorization,
            identity,
            act_as: user.as_ref().map(Found::act_as).unwrap_or_default(),
        })
    }

    fn current(&self) -> Result<String, KubeconfigError> {
        let named = |(_, node): &(PathBuf, Node)| {
            node.get("current-context").and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let none = || KubeconfigError::NoContext { files: self.shown(), known: self.names("contexts") };
        self.files.iter().find_map(named).ok_or_else(none)
    }

    fn entries(&self, list: &'static str) -> impl Iterator<Item = (&Path, &Node)> {
        self.files.iter().flat_map(move |(path, node)| {
            node.get(list).map(Node::items).unwrap_or_default().iter().map(move |item| (path.as_path(), item))
        })
    }

    fn entry(&self, list: &'static str, what: &'static str, name: &str) -> Result<Found<'_>, KubeconfigError> {
        let is = |item: &Node| item.get("name").and_then(Node::text) == Some(name);
        let found = self.entries(list).find(|(_, item)| is(item));
        match found.and_then(|(path, item)| Some((path, item.get(what)?))) {
            Some((path, node)) => Ok(Found { path, node, what, name: name.to_owned() }),
            None => {
                let (files, known) = (self.shown(), self.names(list));
                Err(KubeconfigError::Unknown { files, what, name: name.to_owned(), known })
            }
        }
    }

    fn names(&self, list: &'static str) -> String {
        let names: Vec<&str> = self.entries(list).filter_map(|(_, item)| item.get("name")?.text()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn shown(&self) -> String {
        self.files.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// An entry of one of the lists.
struct Found<'k> {
    path: &'k Path,
    node: &'k Node,
    what: &'static str,
    name: String,
}

impl Found<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.node.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn need(&self, key: &str) -> Result<String, KubeconfigError> {
        self.text(key).ok_or_else(|| self.wrong(key, "it is missing"))
    }

    fn wrong(&self, key: &str, why: impl Into<String>) -> KubeconfigError {
        let line = self.node.get(key).map_or(self.node.line, |node| node.line);
        let place = format!("{}:{line}", self.path.display());
        KubeconfigError::Field { place, what: format!("{key} of {} {:?}", self.what, self.name), why: why.into() }
    }

    /// Returns what stands under `key-data`, or in the file under `key`; a relative path is meant from the kubeconfig.
    fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, KubeconfigError> {
        let data = format!("{key}-data");
        if let Some(text) = self.text(&data) {
            let text: String = text.split_whitespace().collect();
            let read = STANDARD.decode(text).map_err(|_| self.wrong(&data, "it is no base64"));
            return read.map(Some);
        }
        match self.text(key) {
            Some(path) => read_file(&self.below(&path)).map(Some),
            None => Ok(None),
        }
    }

    fn below(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new(".")).join(path)
    }

    fn server(&self, login: bool) -> Result<Url, KubeconfigError> {
        let text = self.need("server")?;
        let url = Url::parse(&text).map_err(|error| self.wrong("server", error.to_string()))?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" if url.has_host() => Ok(url),
            "http" if url.has_host() && (loopback || !login) => Ok(url),
            "http" => Err(self.wrong("server", "credentials are sent over https only")),
            _ => Err(self.wrong("server", "an address that begins with https:// is expected")),
        }
    }

    /// Returns what the user shows in the header of a request.
    fn authorization(&self) -> Result<Option<SecretString>, KubeconfigError> {
        for key in ["exec", "auth-provider"] {
            if let Some(plugin) = self.node.get(key) {
                let by = plugin.get("command").or_else(|| plugin.get("name")).and_then(Node::text);
                let by = format!("the program {:?}", by.unwrap_or("(no name)"));
                return Err(KubeconfigError::Program { user: self.name.clone(), by });
            }
        }
        if let Some(path) = self.text("tokenFile") {
            return read_token(&self.below(&path)).map(Some);
        }
        if let Some(token) = self.text("token") {
            return Ok(Some(format!("Bearer {}", token.trim()).into()));
        }
        match (self.text("username"), self.text("password")) {
            (Some(name), Some(password)) => {
                Ok(Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))).into()))
            }
            _ => Ok(None),
        }
    }

    /// Returns certificate and key in one PEM.
    fn identity(&self) -> Result<Option<SecretSlice<u8>>, KubeconfigError> {
        match (self.bytes("client-certificate")?, self.bytes("client-key")?) {
            (Some(mut pem), Some(key)) => {
                pem.push(b'\n');
                pem.extend(key);
                Ok(Some(pem.into()))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.wrong("client-certificate", "client-key is missing beside it")),
            (None, Some(_)) => Err(self.wrong("client-key", "client-certificate is missing beside it")),
        }
    }

    fn act_as(&self) -> Vec<(&'static str, String)> {
        let mut headers: Vec<_> = self.text("as").map(|name| ("impersonate-user", name)).into_iter().collect();
        headers.extend(self.text("as-uid").map(|uid| ("impersonate-uid", uid)));
        let groups = self.node.get("as-groups").map(Node::items).unwrap_or_default().iter();
        headers.extend(groups.filter_map(|group| Some(("impersonate-group", group.text()?.to_owned()))));
        headers
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, KubeconfigError> {
    let failed = |cause| KubeconfigError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limits::KUBECONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits::KUBECONFIG_BYTES {
        let cause = std::io::Error::other(format!("it has more than {} bytes", limits::KUBECONFIG_BYTES));
        return Err(failed(cause));
    }
    Ok(bytes)
}

fn read_token(path: &Path) -> Result<SecretString, KubeconfigError> {
    let bytes = SecretSlice::from(read_file(path)?);
    let text = std::str::from_utf8(bytes.expose_secret()).unwrap_or_default().trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        let (place, why) = (path.display().to_string(), "it holds no token".to_owned());
        return Err(KubeconfigError::Field { place, what: "token file".to_owned(), why });
    }
    Ok(format!("Bearer {text}").into())
}

fn parse(bytes: &[u8], place: &str) -> Result<Node, KubeconfigError> {
    let read = yaml::decode(bytes, place).and_then(|text| yaml::document(text, place));
    let node = read.map_err(|error| match error {
        PaperError::Syntax { place, line, column, why, .. } => {
            KubeconfigError::Syntax { place, line, column, why: why.to_string() }
        }
        other => KubeconfigError::Syntax { place: place.to_owned(), line: 1, column: 1, why: other.to_string() },
    })?;
    if node.get("clusters").is_none() && node.get("contexts").is_none() {
        return Err(KubeconfigError::Other(place.to_owned()));
    }
    Ok(node)
}
