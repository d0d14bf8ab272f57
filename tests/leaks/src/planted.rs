//! The leaks: for each the filter that it removes, and the test of the matrix that finds it.

/// One filter that is missing.
#[derive(Clone, Copy, Debug)]
pub struct Leak {
    /// Its name.
    pub name: &'static str,
    /// What is shown to whom.
    pub shows: &'static str,
    /// The file of `node/api/src` in which it is planted.
    pub file: &'static str,
    /// A text before its place, usually the function's name.
    pub within: &'static str,
    /// The text that it replaces: an expression, or a statement with its semicolon.
    pub text: &'static str,
    /// What stands there instead.
    pub instead: &'static str,
    /// The test in `node/api/src/tests/visibility.rs` that fails.
    pub test: &'static str,
}

/// The matrix itself: the same bytes in a world with business and in one without.
const MATRIX: &str = "strangers_get_the_same_answers_whether_there_was_business_or_not";
const PARTIES: &str = "parties_issuer_and_auditor_see_what_is_theirs_and_nobody_else";
const POSITIONS: &str = "positions_of_others_are_not_in_what_a_party_is_shown";
const EVERYBODY: &str = "what_everybody_sees_names_nobody";
const STREAMS: &str = "streams_of_strangers_show_nothing_of_business";
const HOLDINGS: &str = "issuer_sees_of_a_holder_its_own_assets_alone";
const ONE_OF_MANY: &str = "payee_of_one_of_many_payments_sees_that_one";
const ENVELOPES: &str = "envelope_in_another_name_is_answered_as_one_with_bad_signatures";
const PROXIES: &str = "nothing_may_be_kept_by_a_proxy_that_would_show_it_to_others";
const TOKENS: &str = "token_that_is_not_of_this_login_opens_nothing";

macro_rules! leaks {
    ($($name:literal: $shows:literal, $file:literal, $within:literal, $text:literal => $instead:literal, $test:ident;)*) => {
        /// Every leak.
        pub const ALL: &[Leak] = &[$(Leak {
            name: $name, shows: $shows, file: $file, within: $within, text: $text, instead: $instead, test: $test,
        }),*];
    };
}

leaks! {
    // Routes: records by name.
    "every-record": "every record to everybody who has logged in",
        "visibility.rs", "fn owns_any(", "Ok(self.sees_everything())" => "Ok(true)", MATRIX;
    "whole-transactions": "a transaction as a whole to whoever sees a part of it",
        "visibility/objects.rs", "fn whole(", "!self.sees_all_of(&record)?" => "false", ONE_OF_MANY;
    "changes": "the positions of everybody in a transaction to each party",
        "visibility/objects.rs", "fn whole(", "Ok(Some(without_changes(&record)))" => "Ok(Some(Seen((*record).clone())))", POSITIONS;
    "operations": "every operation to everybody",
        "visibility/objects.rs", "fn seen_operation(", "!self.sees_operation(&record)?" => "false", MATRIX;
    "entries": "every offer and claimable balance to everybody",
        "visibility/objects.rs", "fn seen_entry(", "self.if_owned(&stakeholders::of_entry(&entry), entry)" => "Ok(Some(Seen(entry)))", MATRIX;
    "pools": "every pool to everybody",
        "visibility/objects.rs", "fn seen_pool(", "self.owns_any(&stakeholders::of_entry(&entry))?" => "true", MATRIX;
    "accounts": "whole accounts to those who may see a line",
        "visibility/objects.rs", "fn seen_account(", "self.owns_any(&stakeholders::of_account(entry))?" => "true", HOLDINGS;
    "holdings": "that an account exists, to who issues nothing that it holds",
        "visibility/objects.rs", "fn seen_account(", "held.is_empty()" => "false", MATRIX;
    "holdings-of-others": "an account's lines of other issuers to one issuer",
        "visibility/objects.rs", "fn seen_account(", "self.owns(&issuer)?" => "true", MATRIX;
    "receipts": "the receipt of a transaction to who may not see it",
        "visibility/objects.rs", "fn receipt(", "self.whole(record)?.is_none()" => "false", PARTIES;
    "state-proofs": "a proof of any entry of the state to everybody",
        "visibility/proofs.rs", "fn sees_at(", "self.sees_everything()" => "true", MATRIX;
    "state-proofs-of-absence": "that nothing stands under a key, to who would not see it",
        "visibility/proofs.rs", "None => match read::<LedgerKey>(key)", "self.owns_any(&stakeholders::of_key(&key))" => "Ok(true)", MATRIX;
    // What many did together.
    "candles": "volumes and prices of two assets to everybody",
        "visibility/objects.rs", "fn candles(", "!self.owns_any(&issuers)?" => "false", MATRIX;
    "quotes": "what an account could be paid in, to everybody",
        "visibility/objects.rs", "fn paths(", "self.owns(account)?" => "true", MATRIX;
    "bids": "what others bid for their place in a block",
        "visibility/objects.rs", "fn fee_stats(", "!self.sees_everything()" => "false", EVERYBODY;
    "parts-of-a-supply": "in which forms an asset is held, to everybody",
        "visibility/objects.rs", "fn seen_asset(", "self.owns(&issuer)?" => "true", EVERYBODY;
    // Lists, cursors, streams.
    "list-of-accounts": "every account in a list",
        "visibility/lists.rs", "fn accounts(", "self.seen_account(state)" => "Ok(Some(SeenAccount::Whole(Seen(state))))", MATRIX;
    "places-in-lists": "where in the order somebody else's transaction stands, as a cursor",
        "visibility/objects.rs", "fn place_of(", "self.sees_operation(&operation)?" => "true", MATRIX;
    "streams": "operations of others as they happen",
        "visibility/objects.rs", "fn seen_operation(", "self.has_signed(&record.transaction)?" => "true", STREAMS;
    // Errors.
    "outcome-of-a-guess": "whether a guessed payment was made, by the error of sending it",
        "visibility/submissions.rs", "fn submission(", "!self.stands_behind(transaction)?" => "false", ENVELOPES;
    "acceptance-of-a-guess": "the same where nobody waits for the outcome",
        "visibility/submissions.rs", "fn acceptance(", "!self.stands_behind(transaction)?" => "false", ENVELOPES;
    // Who asks.
    "operators": "business to operators",
        "visibility/gate.rs", "fn role(", "return Ok(Viewer::Operator);" => "return Ok(Viewer::Everything);", MATRIX;
    "no-account": "anything to a key that somebody made",
        "visibility/gate.rs", "fn role(", "!is_member && node.account(&account)?.is_none()" => "false", TOKENS;
    "no-token": "anything to who has not logged in",
        "visibility/gate.rs", "async fn viewer(", "return Err(Kind::UNAUTHORIZED.into())" => "return Ok(Viewer::Everything)", MATRIX;
    // What is kept, and what is written down.
    "proxies": "answers to one member that a proxy may give to the next",
        "caching.rs", "Visibility::", "Visibility::Open" => "Visibility::Members", PROXIES;
    "log-lines": "in the log, which transaction somebody asked for",
        "visibility/objects.rs", "fn transaction(&self, hash: &Digest)", "self.node.transaction(hash)?" =>
        "{ tracing::info!(%hash, \"looked up\"); self.node.transaction(hash)? }", MATRIX;
}

/// The name of the variable that switches a leak on.
pub const VARIABLE: &str = "CARAT_PLANTED_LEAK";

/// Whether the leak of this name is switched on in this process.
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var(VARIABLE).unwrap_or_default()) == name
}
