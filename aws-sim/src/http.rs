//! The World over HTTP/1 on a socket: AWS at `POST /`, the controls at `/_sim/CONTROL`. It adds nothing to what the
//! connector does: a reset closes the connection, a hang leaves it open.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::connector::{ConnectError, Connector};
use crate::control::Control;

/// Serves until dropped; the connections end with it.
pub async fn serve(listener: TcpListener, connector: Connector) -> io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                // A client that is gone already shows when its connection is served.
                let _gone = stream.set_nodelay(true);
                connections.spawn(connection(stream, connector.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, connector: Connector) {
    let service = service_fn(|request| answer(request, &connector));
    // A client that goes away, and a reset that was asked for, both end here: no error of ours.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, connector: &Connector) -> Result<Response<Full<Bytes>>, ConnectError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| ConnectError)?.to_bytes();
    let Some(control) = parts.uri.path().strip_prefix("/_sim/") else {
        let response = connector.call(Request::from_parts(parts, body)).await?;
        return Ok(response.map(Full::new));
    };
    let fields =
        if parts.method == Method::GET { query(parts.uri.query().unwrap_or_default()) } else { json_body(&body) };
    let (status, value) = match fields.and_then(|fields| read(control, fields)) {
        Ok(control) => (StatusCode::OK, connector.world(|world| world.control(control))),
        Err(error) => (StatusCode::BAD_REQUEST, json!({"error": error})),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}

fn read(control: &str, mut fields: Map<String, Value>) -> Result<Control, String> {
    fields.insert("control".to_owned(), control.into());
    serde_json::from_value(Value::Object(fields)).map_err(|e| e.to_string())
}

fn json_body(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.is_empty() { Ok(Map::new()) } else { serde_json::from_slice(body).map_err(|e| e.to_string()) }
}

/// `?account=…&region=…`: every value is a text but `since`.
fn query(query: &str) -> Result<Map<String, Value>, String> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .map(|(key, value)| match key.as_ref() {
            "since" => value.parse().map(|n: u64| (key.to_string(), n.into())).map_err(|e| e.to_string()),
            _ => Ok((key.into_owned(), value.into_owned().into())),
        })
        .collect()
}
