//! A scripted HTTP/1.1 server on a loopback port: a closure answers each request, every request is kept.
//!
//! Plain sockets, so that answers may be wrong in every way that a real server could be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, untouched.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How often exactly this method and target came before.
    pub before: usize,
}

impl Request {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One answer, honest unless told otherwise.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Overrides the honest `Content-Length`; `Some(None)` leaves it out and ends the body by closing.
    length: Option<Option<u64>>,
    /// Closes after this many bytes of the body.
    cut: Option<usize>,
    /// Sent as it is, instead of everything above.
    raw: Option<Vec<u8>>,
    /// Keeps the connection open without a further byte after what was sent.
    stall: bool,
    close: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            length: None,
            cut: None,
            raw: None,
            stall: false,
            close: false,
        }
    }

    pub fn raw(bytes: &[u8]) -> Self {
        Self { raw: Some(bytes.to_vec()), close: true, ..Self::new(200) }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.with("Content-Type", "application/json").body(body)
    }

    pub fn length(mut self, length: Option<u64>) -> Self {
        self.length = Some(length);
        self.close = true;
        self
    }

    pub fn cut(mut self, at: usize) -> Self {
        self.cut = Some(at);
        self.close = true;
        self
    }

    pub fn stall(mut self) -> Self {
        self.stall = true;
        self.close = true;
        self
    }

    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    fn write(&self, method: &str, to: &mut dyn Write) -> std::io::Result<()> {
        if let Some(raw) = &self.raw {
            to.write_all(raw)?;
            return to.flush();
        }
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let own = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match self.length {
            Some(Some(length)) => head += &format!("Content-Length: {length}\r\n"),
            None if !own && self.status != 204 => head += &format!("Content-Length: {}\r\n", self.body.len()),
            _ => {}
        }
        if self.close {
            head += "Connection: close\r\n";
        }
        to.write_all(format!("{head}\r\n").as_bytes())?;
        if method != "HEAD" {
            to.write_all(&self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())])?;
        }
        to.flush()
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;
type Early = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

struct Inner {
    answer: Box<Answer>,
    early: Box<Early>,
    seen: Mutex<Vec<Request>>,
    stop: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// A running server. Stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

impl Server {
    /// Answers every request by `answer`, after its body was read.
    pub fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Box::new(answer), Box::new(|_| None), None)
    }

    /// Like [`Server::new`]; where `early` gives an answer, it is sent without the body being read, and the connection closed.
    pub fn with_early(
        early: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Box::new(answer), Box::new(early), None)
    }

    pub fn with_tls(config: rustls::ServerConfig, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Box::new(answer), Box::new(|_| None), Some(Arc::new(config)))
    }

    fn start(answer: Box<Answer>, early: Box<Early>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner { answer, early, seen: Mutex::default(), stop: AtomicBool::new(false), tls });
        let shared = inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, inner }
    }

    /// Returns `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns all requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Returns how many requests of this method came whose path begins like this.
    pub fn count(&self, method: &str, prefix: &str) -> usize {
        self.seen().iter().filter(|r| r.method == method && r.path().starts_with(prefix)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, inner: &Inner) {
    stream.set_nodelay(true).unwrap();
    match &inner.tls {
        None => {
            let reader = BufReader::with_capacity(256 << 10, stream.try_clone().unwrap());
            let mut stream = stream;
            converse(reader, &mut stream, inner);
        }
        Some(config) => {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let both = Shared(Arc::new(Mutex::new(rustls::StreamOwned::new(session, stream))));
            converse(BufReader::new(both.clone()), &mut both.clone(), inner);
        }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>>);

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().read(into)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

fn converse(mut reader: impl BufRead, writer: &mut dyn Write, inner: &Inner) {
    while let Some(mut request) = head(&mut reader) {
        request.before = {
            let seen = inner.seen.lock().unwrap();
            seen.iter().filter(|r| r.method == request.method && r.target == request.target).count()
        };
        if let Some(reply) = (inner.early)(&request) {
            inner.seen.lock().unwrap().push(request.clone());
            let reply = reply.close();
            drop(reply.write(&request.method, writer));
            // What was sent meanwhile is read away, so that closing does not reset the connection before the answer is
            // read; where nothing was said, a reset is what is wanted.
            if !reply.raw.as_ref().is_some_and(Vec::is_empty) {
                drop(std::io::copy(&mut reader, &mut std::io::sink()));
            }
            return;
        }
        let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = Vec::new();
        let whole = reader.by_ref().take(length).read_to_end(&mut body).is_ok() && body.len() as u64 == length;
        request.body = body;
        if !whole {
            request.method = format!("BROKEN {}", request.method);
            inner.seen.lock().unwrap().push(request);
            return;
        }
        inner.seen.lock().unwrap().push(request.clone());
        let reply = (inner.answer)(&request);
        if reply.write(&request.method, writer).is_err() {
            return;
        }
        if reply.stall {
            drop(std::io::copy(&mut reader, &mut std::io::sink()));
        }
        if reply.close {
            return;
        }
    }
}

fn head(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut parts = line.split_ascii_whitespace();
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request { method, target, headers, body: Vec::new(), before: 0 })
}
