//! A web server on loopback for files in memory: nothing but `GET`, one connection after another.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server; it ends with the process.
pub struct WebServer {
    address: String,
    files: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a path is answered with: a status with a `Location` or a body.
#[derive(Clone)]
pub enum Answer {
    /// 200 with a body.
    File(Vec<u8>),
    /// This status and nothing else.
    Status(u16),
    /// 302 to this place.
    Redirect(String),
}

impl WebServer {
    /// Starts one.
    pub fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, files: Arc::default(), asked: Arc::default() };
        server.show(files);
        let (files, asked) = (server.files.clone(), server.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up has what it wanted.
                drop(answer(stream, &files, &asked));
            }
        });
        server
    }

    /// Returns the address: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows these files and no others.
    pub fn show(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.files.lock().unwrap() = files.into_iter().map(|(path, bytes)| (path, Answer::File(bytes))).collect();
    }

    /// Answers one path differently.
    pub fn set(&self, path: &str, answer: Answer) {
        self.files.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Returns the paths that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    stream: TcpStream,
    files: &Mutex<BTreeMap<String, Answer>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    while line.trim() != "" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
    }
    asked.lock().unwrap().push(path.clone());
    let found = files.lock().unwrap().get(&path).cloned().unwrap_or(Answer::Status(404));
    let (status, extra, body) = match found {
        Answer::File(bytes) => (200, String::new(), bytes),
        Answer::Status(status) => (status, String::new(), Vec::new()),
        Answer::Redirect(to) => (302, format!("location: {to}\r\n"), Vec::new()),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} x\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}
