//! The simulated AWS: what was called, and the floor. One connection that stays open, so that the floor is the calls
//! and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Done;
use crate::stage::{ACCESS_KEY, REGION};

/// The simulator answers in milliseconds, or it is not there any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// A call that the simulator saw.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub seq: u64,
    /// Whose credentials it came with.
    pub account: Option<String>,
    pub operation: String,
    pub is_write: bool,
}

pub struct Aws {
    address: String,
    connection: BufReader<TcpStream>,
}

impl Aws {
    pub fn connect(url: &str) -> Done<Self> {
        let address = url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address, connection: BufReader::new(stream) })
    }

    /// What comes after every call so far.
    pub fn mark(&mut self) -> Done<u64> {
        Ok(self.calls_since(0)?.last().map_or(0, |call| call.seq + 1))
    }

    pub fn calls_since(&mut self, since: u64) -> Done<Vec<Call>> {
        let mut answer = self.control("calls", &json!({"since": since}))?;
        Ok(serde_json::from_value(answer["calls"].take())?)
    }

    /// Whether the registry policy of an account says this.
    pub fn policy_contains(&mut self, account: &str, words: &str) -> Done<bool> {
        let answer = self.control("policy", &json!({"account": account, "region": REGION}))?;
        Ok(answer["text"].as_str().is_some_and(|text| text.contains(words)))
    }

    /// How long three AWS calls in a row take: no operator can read, write and read back in less.
    pub fn floor(&mut self) -> Done<f64> {
        let start = Instant::now();
        for _ in 0..3 {
            self.describe_registry()?;
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn describe_registry(&mut self) -> Done {
        let headers = format!(
            "content-type: application/x-amz-json-1.1\r\n\
             x-amz-target: AmazonEC2ContainerRegistry_V20150921.DescribeRegistry\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/ecr/aws4_request, \
             SignedHeaders=host, Signature=00\r\n"
        );
        self.post("/", &headers, "{}").map(drop)
    }

    fn control(&mut self, control: &str, fields: &Value) -> Done<Value> {
        let body = self.post(&format!("/_sim/{control}"), "", &fields.to_string())?;
        Ok(serde_json::from_slice(&body)?)
    }

    fn post(&mut self, path: &str, headers: &str, body: &str) -> Done<Vec<u8>> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.connection.get_mut().write_all(request.as_bytes())?;
        answer(&mut self.connection)
    }
}

/// `GET` over a connection of its own.
pub fn get(address: &str, path: &str) -> Done<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    Ok(String::from_utf8(answer(&mut BufReader::new(stream))?)?)
}

/// An answer that says its length, as both servers here do.
fn answer(connection: &mut impl BufRead) -> Done<Vec<u8>> {
    let mut status = String::new();
    connection.read_line(&mut status)?;
    let mut length = None;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(format!("the answer ended in its head: {status}").into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = vec![0; length.ok_or("the answer does not say its length")?];
    connection.read_exact(&mut body)?;
    if status.starts_with("HTTP/1.1 200") {
        Ok(body)
    } else {
        Err(format!("{}: {}", status.trim_end(), String::from_utf8_lossy(&body)).into())
    }
}
