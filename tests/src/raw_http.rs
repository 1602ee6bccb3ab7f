//! HTTP without a library that would correct what is wrong with a request.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A status and a body.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// The body, with any chunks joined.
    pub body: String,
}

/// Sends one request as it stands, on a connection of its own, and reads what comes back. The
/// request should ask to close the connection.
pub async fn send(authority: &str, request: &[u8]) -> Result<RawAnswer> {
    let exchange = async {
        let mut stream = TcpStream::connect(authority).await?;
        // A server that has seen enough may close before it has read all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer).await {
            Err(error) if answer.is_empty() => Err(error),
            _ => Ok(answer),
        }
    };
    let answer = timeout(PATIENCE, exchange).await.context("no answer in time")??;
    parse(&answer).with_context(|| format!("not HTTP: {}", String::from_utf8_lossy(&answer)))
}

/// Sends a request that is not whole and says that no more comes. Waits until the server has closed.
pub async fn send_and_hang_up(authority: &str, request: &[u8]) -> Result<()> {
    let exchange = async {
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(request).await?;
        stream.shutdown().await?;
        // Refused or not, what matters is that it is over.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        anyhow::Ok(())
    };
    timeout(PATIENCE, exchange).await.context("the connection stays open")?
}

fn parse(answer: &[u8]) -> Option<RawAnswer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { join_chunks(answer)? } else { body.to_owned() };
    Some(RawAnswer { status, body })
}

fn join_chunks(answer: &[u8]) -> Option<String> {
    let start = answer.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let mut rest = answer.get(start..)?;
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|it| it == b"\r\n")?;
        let length = std::str::from_utf8(rest.get(..line)?).ok()?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(String::from_utf8_lossy(&body).into_owned());
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + length)?);
        rest = rest.get(line + 4 + length..)?;
    }
}
