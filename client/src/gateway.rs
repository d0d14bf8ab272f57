//! A local server through which programs that know nothing of logins read a members' network.
//!
//! It logs in with the key of one account, renews the token, and hands every request on to one node, streams too. Whoever
//! reaches it reads what that account may read: so it answers to its own name alone (a page whose name was made to lead
//! here has another), and to no page of another origin. Where it listens is its caller's choice (`carat gateway`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING,
    VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::login::Pass;

/// Requests at work at the same time, streams counted until they begin; more are turned away.
const REQUESTS_MAX: usize = 256;
/// The longest body of a request: the node's own limit. **Units**: bytes.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// How long an answer may take to begin: longer than a submission waits for its outcome.
const PATIENCE: Duration = Duration::from_secs(60);

/// Headers that concern one connection and not the request, or that the gateway sets itself.
const NOT_HANDED_ON: [HeaderName; 7] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("upgrade"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// The way to one node, as one account.
#[derive(Debug)]
pub struct Gateway {
    /// The node's interface, without a slash at the end.
    base: String,
    pass: Pass,
    http: reqwest::Client,
    places: Semaphore,
    /// Names under which it answers; none where it is exposed, for it cannot know them all.
    names: Option<Vec<String>>,
}

impl Gateway {
    /// To the node with its interface at `base`, with the tokens of `pass`.
    pub fn new(base: &str, pass: Pass, http: reqwest::Client) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Gateway { base, pass, http, places: Semaphore::new(REQUESTS_MAX), names: None }
    }

    /// Answers to the names of this address alone.
    #[must_use]
    pub fn named(mut self, address: SocketAddr) -> Self {
        self.names = Some(names_of(address));
        self
    }

    /// Serves for as long as it is polled.
    ///
    /// **Errors**: the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let router = Router::new().fallback(hand_on).with_state(Arc::new(self));
        axum::serve(listener, router).await
    }
}

fn names_of(address: SocketAddr) -> Vec<String> {
    let host = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    [host, "localhost".to_owned()].map(|host| format!("{host}:{}", address.port())).to_vec()
}

/// Hands a request on, with a token; a token that is no longer taken is renewed once.
async fn hand_on(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if let Err(reason) = gateway.admits(request.headers()) {
        return problem(StatusCode::FORBIDDEN, reason);
    }
    let Ok(_place) = gateway.places.try_acquire() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway is at work on as many requests as it allows",
        );
    };
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than any transaction");
    };
    let mut headers = head.headers;
    for name in NOT_HANDED_ON {
        headers.remove(name);
    }
    match gateway.ask(&head.method, &path, &headers, &body).await {
        Ok(response) => response,
        Err(reason) => problem(StatusCode::BAD_GATEWAY, &reason),
    }
}

impl Gateway {
    /// Whether it answers this request at all.
    fn admits(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
        let host = text(HOST).unwrap_or_default();
        if let Some(names) = &self.names
            && !names.iter().any(|name| name.eq_ignore_ascii_case(host))
        {
            return Err("the gateway does not go by this name (hint: 127.0.0.1 or localhost, with its port)");
        }
        match text(ORIGIN) {
            Some(origin) if origin != format!("http://{host}") => {
                Err("the gateway answers no page of another origin: it would read what the account may read")
            }
            _ => Ok(()),
        }
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, String> {
        let mut refused = None;
        loop {
            let token = self.pass.token().await.map_err(|error| error.to_string())?;
            // The client's own name for us goes on, so that links in answers lead here.
            let request = self.http.request(method.clone(), format!("{}{path}", self.base));
            let request = request.headers(headers.clone()).bearer_auth(token.as_str()).body(body.clone());
            let answer = tokio::time::timeout(PATIENCE, request.send()).await;
            let answer = answer.map_err(|_| format!("{} does not answer in time", self.base))?;
            let answer = answer.map_err(|error| format!("{} does not answer: {error}", self.base))?;
            if answer.status() == StatusCode::UNAUTHORIZED && refused.is_none() {
                self.pass.forget(&token).await;
                refused = Some(token);
                continue;
            }
            return Ok(handed_back(answer));
        }
    }
}

/// The node's answer, as it comes: a stream stays one. What lets pages of all origins read it does not go on.
fn handed_back(answer: reqwest::Response) -> Response {
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in NOT_HANDED_ON.into_iter().chain([ACCESS_CONTROL_ALLOW_ORIGIN, VARY]) {
        headers.remove(name);
    }
    let mut response = Body::from_stream(answer.bytes_stream()).into_response();
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn problem(status: StatusCode, reason: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let report = json!({
        "type": "urn:carat:problem:gateway",
        "title": title,
        "status": status.as_u16(),
        "extras": { "reason": reason },
    });
    (status, [("content-type", "application/problem+json; charset=utf-8")], report.to_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use carat_types::SecretKey;

    use super::*;
    use crate::login::Login;

    fn gateway() -> Gateway {
        let login = Login::new(SecretKey::from_seed(&[1; 32]), "Test net ; 1");
        let pass = Pass::new(login, "http://127.0.0.1:1", reqwest::Client::new());
        Gateway::new("http://127.0.0.1:1/", pass, reqwest::Client::new())
    }

    #[test]
    fn page_of_another_origin_and_foreign_name_are_refused() {
        let named = gateway().named("127.0.0.1:8700".parse().expect("an address"));
        let table = [
            (&named, "127.0.0.1:8700", None, true),
            (&named, "LOCALHOST:8700", None, true),
            (&named, "localhost:8700", Some("http://localhost:8700"), true),
            // A page whose name was made to lead to this machine.
            (&named, "evil.example:8700", None, false),
            (&named, "127.0.0.1:8701", None, false),
            (&named, "", None, false),
            (&named, "127.0.0.1:8700", Some("https://evil.example"), false),
            (&named, "127.0.0.1:8700", Some("null"), false),
            (&gateway(), "gateway.bank.example", None, true),
            (&gateway(), "gateway.bank.example", Some("http://evil.example"), false),
        ];
        for (gateway, host, origin, admitted) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().expect("a header"));
            }
            assert_eq!(gateway.admits(&headers).is_ok(), admitted, "{host} {origin:?}");
        }
    }
}
