//! The World over a socket.

use std::future::Future;

use aws_sim::{Connector, Fault};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::*;

/// One request on a connection of its own: status and body; none if the connection broke.
async fn send(address: &str, method: &str, path: &str, request: Request<Bytes>) -> Option<(u16, Value)> {
    let (parts, body) = request.into_parts();
    let line = |(name, value): (_, &http::HeaderValue)| format!("{name}: {}\r\n", value.to_str().unwrap());
    let headers = parts.headers.iter().map(line).collect::<Vec<_>>().concat();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[text.as_bytes(), b"\r\n", &body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).unwrap_or_default()))
}

async fn served<F: Future<Output = ()>>(test: impl FnOnce(String, Connector, Keys) -> F) {
    let (world, a, _) = two_accounts();
    let connector = Connector::new(world);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::select! {
        ended = aws_sim::http::serve(listener, connector.clone()) => panic!("{ended:?}"),
        () = test(address, connector, a) => {}
    }
}

fn body(value: &Value) -> Request<Bytes> {
    Request::new(Bytes::from(value.to_string()))
}

#[tokio::test]
async fn aws_and_its_controls_answer_over_http() {
    served(|address, connector, keys| async move {
        let put = ecr(&keys, REGION, "PutRegistryPolicy", &json!({"policyText": replication()}));
        assert_eq!(send(&address, "POST", "/", put).await.unwrap().0, 200);
        assert_eq!(connector.world(|world| world.policy_text(A, REGION)), Some(replication()));
        let nothing = || Request::new(Bytes::new());
        let query = format!("/_sim/policy?account={A}&region={REGION}");
        let (status, answer) = send(&address, "GET", &query, nothing()).await.unwrap();
        assert_eq!((status, answer), (200, json!({"text": replication()})));
        let calls = send(&address, "GET", "/_sim/calls?since=0", nothing()).await.unwrap().1;
        assert_eq!(calls["calls"][0]["operation"], "PutRegistryPolicy");
        let scope = body(&json!({"account": A, "region": REGION, "scope": "V1"}));
        assert_eq!(send(&address, "POST", "/_sim/set_scope", scope).await.unwrap(), (200, json!({})));
        let (status, answer) = send(&address, "POST", "/_sim/no_such", nothing()).await.unwrap();
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains("no_such"));
    })
    .await;
}

#[tokio::test]
async fn a_reset_breaks_the_connection() {
    served(|address, connector, keys| async move {
        connector.world(|world| world.inject(Fault::reset().once()));
        let get = || ecr(&keys, REGION, "GetRegistryPolicy", &json!({}));
        assert_eq!(send(&address, "POST", "/", get()).await, None);
        assert_eq!(send(&address, "POST", "/", get()).await.unwrap().0, 400);
    })
    .await;
}
