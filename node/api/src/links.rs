//! Links between resources. **Source**: ledger specification B.2.

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName};
use serde::Serialize;

/// A link, or with `templated` the template of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where to.
    pub href: String,
    /// Whether the client has to fill in the braces.
    #[serde(skip_serializing_if = "is_false")]
    pub templated: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The paging parameters of a collection, as the end of a template.
pub const PAGING: &str = "{?cursor,limit,order}";

/// By which protocol the client asked, where something stands in front.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Makes links that lead back to the address at which the client asked.
#[derive(Clone, Debug)]
pub struct Links {
    base: String,
}

impl Links {
    /// The address that the request names; without one, links are relative.
    ///
    /// A host with anything but the characters of a host is taken for none.
    pub fn of_request(headers: &HeaderMap) -> Self {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host));
        let scheme = match headers.get(FORWARDED_PROTO).map(|scheme| scheme.as_bytes()) {
            Some(b"https") => "https",
            _ => "http",
        };
        Links { base: host.map_or_else(String::new, |host| format!("{scheme}://{host}")) }
    }

    /// A link to a path, which may be a template.
    pub fn to(&self, path: impl AsRef<str>) -> Link {
        let href = format!("{}{}", self.base, path.as_ref());
        let templated = href.contains('{');
        Link { href, templated }
    }

    /// A link to somewhere else, or the empty one.
    pub fn elsewhere(href: String) -> Link {
        Link { href, templated: false }
    }

    /// A template for the pages of a collection.
    pub fn paged(&self, path: impl AsRef<str>) -> Link {
        self.to(format!("{}{PAGING}", path.as_ref()))
    }
}

fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)
}
