//! Metrics are documented, and documents name metrics that exist.

use std::collections::BTreeSet;

use carat_node::metrics::Metrics;

#[test]
fn metrics_and_their_document_agree() {
    let metrics = Metrics::new().expect("declared once each");
    let declared: BTreeSet<String> = metrics.names().into_iter().collect();
    let path = super::files::root().join("docs/operations/monitoring.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let (_, table) = text.split_once("## Metrics").expect("the heading");
    let documented: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(['`', '{']).next())
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, documented, "declared on the left, documented on the right");
}
