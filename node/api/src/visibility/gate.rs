//! Who may come in: on a members' network every request but those of a login needs a token of this node's login, or comes
//! over a connection whose client has shown the certificate of an account's key.
//!
//! A token says of a request what a certificate says of a connection, so it goes before; a bad one is an error, whatever
//! the certificate. What the certificate opens is looked up at each request: a key that has lost its weight opens nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use carat_types::genesis::Visibility;
use carat_types::hash::sha256;
use carat_types::{Digest, PublicKey};
use stellar_xdr::LedgerEntryData;

use super::Viewer;
use crate::bank::Strength;
use crate::context::Context;
use crate::port::Node;
use crate::problem::{Kind, Problem};
use crate::routes::Access;
use crate::secure::Certified;
use crate::web_auth::authority::suffices_alone;
use crate::web_auth::token;

/// A route's entrance: the server's state and who may use the route.
pub(crate) type Entrance = (Arc<Context>, Access);

/// Tokens that were checked and are still good, so that each costs one signature and not one a request.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    tokens: Mutex<BTreeMap<Digest, (u64, Viewer)>>,
}

/// Tokens that are remembered; beyond that all are forgotten and checked again.
const CHECKED_MAX: usize = 4_096;

impl Checked {
    fn find(&self, token: &Digest, now: u64) -> Option<Viewer> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).filter(|(expires, _)| now < *expires).map(|(_, viewer)| viewer.clone())
    }

    fn enter(&self, token: Digest, expires: u64, viewer: Viewer) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= CHECKED_MAX {
            tokens.clear();
        }
        tokens.insert(token, (expires, viewer));
    }
}

/// Lets a request through to its route, with its viewer, or answers it.
pub(crate) async fn enter(
    State((context, access)): State<Entrance>,
    mut request: Request,
    next: Next,
) -> Response {
    let certified = request.extensions().get::<Certified>().copied();
    match viewer(&context, access, request.headers(), certified).await {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn viewer(
    context: &Arc<Context>,
    access: Access,
    headers: &HeaderMap,
    certified: Option<Certified>,
) -> Result<Viewer, Problem> {
    if context.node.network().visibility == Visibility::Open {
        return Ok(Viewer::Everything);
    }
    if access == Access::Login {
        return Ok(Viewer::Nobody);
    }
    let text = match (bearer(headers), certified) {
        (Some(text), _) => text,
        (None, Some(Certified(key))) => return of_certificate(context, key).await,
        (None, None) => return Err(Kind::UNAUTHORIZED.into()),
    };
    let (digest, now) = (sha256(&[text.as_bytes()]), crate::routes::now());
    if let Some(viewer) = context.checked.find(&digest, now) {
        return Ok(viewer);
    }
    let login = context.settings.bank.as_ref().and_then(|bank| bank.login.as_ref()).ok_or_else(|| {
        Problem::from(Kind::UNAUTHORIZED)
            .because("this node offers no login; ask another node of the network")
    })?;
    let claims = token::read(login.terms(), text, now)
        .map_err(|error| Problem::from(Kind::UNAUTHORIZED).because(error.to_string()))?;
    let operators = context.settings.operators.clone();
    let viewer = context.of_node(move |node| role(node, &operators, claims.account)).await?;
    context.checked.enter(digest, claims.expires, viewer.clone());
    Ok(viewer)
}

/// Who shows the certificate of a key: the account whose address it is, if the key alone may log in to it.
///
/// **Errors**: as [`role`]; 403 for a key that has lost its weight.
async fn of_certificate(context: &Arc<Context>, key: PublicKey) -> Result<Viewer, Problem> {
    let login = context.settings.bank.as_ref().and_then(|bank| bank.login.as_ref());
    let strength = login.map_or(Strength::default(), |login| login.terms().strength);
    let operators = context.settings.operators.clone();
    let found = context.of_node(move |node| {
        let account = node.account(&key)?;
        let is_weak = account.is_some_and(|account| match &account.account.data {
            LedgerEntryData::Account(entry) => !suffices_alone(entry, strength),
            _ => true,
        });
        if is_weak {
            return Err(Problem::from(Kind::FORBIDDEN).because(
                "the key of the certificate has not the weight to log in to its account alone: log in with its signers",
            ));
        }
        role(node, &operators, key)
    });
    found.await
}

/// The token of a request. The word before it is written in any case (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What the holder of an account may see.
///
/// **Errors**: 403 for a key without an account on the ledger: anybody can make one.
pub(super) fn role(node: &dyn Node, operators: &[PublicKey], account: PublicKey) -> Result<Viewer, Problem> {
    let network = node.network();
    if network.auditors.contains(&account) {
        return Ok(Viewer::Everything);
    }
    if operators.contains(&account) {
        return Ok(Viewer::Operator);
    }
    let is_member = network.members.contains(&account);
    if !is_member && node.account(&account)?.is_none() {
        return Err(Kind::FORBIDDEN.into());
    }
    Ok(Viewer::Holder { account, is_member })
}
