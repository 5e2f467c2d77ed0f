//! A server of files for tests: plain HTTP on loopback, ranges, and mischief on demand.
//!
//! It serves what it was given, remembers every request, and answers the next requests for a path as it was told to:
//! cut short, with other bytes, somewhere else, without ranges, without a length.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How one request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mischief {
    /// Honestly: holds the place of a good answer in a row of others.
    None,
    /// The connection ends after this many bytes of the body.
    Cut(usize),
    /// One byte of the body is another one.
    Wrong,
    /// The file is elsewhere.
    Redirect(String),
    /// An error.
    Status(u16),
    /// Ranges are not known here.
    NoRanges,
    /// The length is not stated; the body ends with the connection.
    NoLength,
    /// This length is stated, whatever comes.
    Length(u64),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Path with its slash.
    pub path: String,
    /// Offset that a range began with.
    pub from: Option<u64>,
    /// Credentials that were shown.
    pub authorization: Option<String>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    mischief: BTreeMap<String, VecDeque<Mischief>>,
    seen: Vec<Seen>,
}

/// The server; ends when it is dropped.
pub struct FileServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    end: Arc<AtomicBool>,
}

impl Default for FileServer {
    fn default() -> Self {
        Self::start()
    }
}

impl FileServer {
    /// Starts on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, end) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (state.clone(), end.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                // A client that goes away early is part of many a test.
                std::thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Self { address, state, end }
    }

    /// Returns host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves `bytes` under `path` from now on.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert(path.to_owned(), bytes.to_vec());
    }

    /// Answers the next requests for `path` like this, then honestly.
    pub fn misbehave(&self, path: &str, answers: &[Mischief]) {
        let mut state = self.state.lock().unwrap();
        state.mischief.entry(path.to_owned()).or_default().extend(answers.iter().cloned());
    }

    /// Returns all requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut from, mut authorization) = (None, None);
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok()),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let (content, mischief) = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { path: path.clone(), from, authorization });
        let mischief = state.mischief.get_mut(&path).and_then(VecDeque::pop_front).unwrap_or(Mischief::None);
        (state.files.get(&path).cloned(), mischief)
    };
    reply(&mut stream, content, from, &mischief)
}

fn reply(
    stream: &mut TcpStream,
    content: Option<Vec<u8>>,
    from: Option<u64>,
    mischief: &Mischief,
) -> std::io::Result<()> {
    let Some(mut content) = content else { return error(stream, 404) };
    match mischief {
        Mischief::Status(status) => return error(stream, *status),
        Mischief::Redirect(to) => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Mischief::Wrong => content.first_mut().into_iter().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let whole = content.len();
    let from = from.filter(|_| *mischief != Mischief::NoRanges).map(|from| usize::try_from(from).unwrap().min(whole));
    let body = &content[from.unwrap_or(0)..];
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    if let Some(from) = from {
        write!(stream, "Content-Range: bytes {from}-{}/{whole}\r\n", whole.saturating_sub(1))?;
    }
    match mischief {
        Mischief::NoLength => {}
        Mischief::Length(length) => write!(stream, "Content-Length: {length}\r\n")?,
        _ => write!(stream, "Content-Length: {}\r\n", body.len())?,
    }
    let shown = if let Mischief::Cut(at) = mischief { (*at).min(body.len()) } else { body.len() };
    stream.write_all(b"\r\n")?;
    stream.write_all(&body[..shown])?;
    stream.flush()
}

fn error(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n")
}
