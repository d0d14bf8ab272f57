//! `/`: which network this is, and where everything is.

use axum::response::{Html, IntoResponse, Response};

use crate::accept::Form;
use crate::problem::Problem;
use crate::request::{Request, json};
use crate::resources::root::Root;
use crate::routes::{Listener, ROUTES};

/// HTML comes last: only a client that names it, before anything that stands for all, gets it.
const FORMS: &[Form] = &[Form::Hal, Form::Json, Form::Html];

pub(crate) async fn show(request: Request) -> Result<Response, Problem> {
    let form = request.accepts(FORMS)?;
    let links = request.links.clone();
    if form == Form::Html {
        let network = request.context.node.network();
        return Ok(Html(page(&network.passphrase, network.is_test)).into_response());
    }
    let root = request.read(move |view| {
        let node = view.node();
        let index = node.history().position()?;
        let closed = match &index {
            Some(index) => node.history().ledger_time_ms(index.last_closed().unwrap_or(index.ledger))?,
            None => None,
        };
        Ok(Root::new(&links, node.network(), node.head(), index.as_ref(), closed.unwrap_or(0)))
    });
    json(&root.await?)
}

/// A page that says what this is, for somebody who came with a browser.
fn page(passphrase: &str, is_test: bool) -> String {
    let listed = ROUTES.iter().filter(|route| route.access.exists(Listener::Public, is_test));
    let items: String = listed
        .map(|route| format!("<li><code>{} {}</code></li>\n", route.methods.join(", "), route.path))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Carat node</title></head>\n\
         <body><h1>Carat node</h1>\n<p>Network: <code>{}</code></p>\n\
         <p>This address answers programs; its <a href=\"/ui/\">pages</a> are for people. Its routes:</p>\n<ul>\n{items}</ul>\n</body></html>\n",
        escape(passphrase)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
