//! Rows of the operations on trustlines.

use stellar_xdr::*;

use super::*;
use crate::support::*;
use crate::{Applied, Refused};

pub(super) fn table() -> Vec<Case> {
    [change_trust(), allow_trust(), set_trust_line_flags()].into_iter().flatten().collect()
}

fn change_trust() -> Vec<Case> {
    let trusting = |name, given, limit, expect, changes| {
        row(name, given, tx("alice").op(trust("EUR:anchor", limit)), expect, changes)
    };
    let anchored = || two().account("anchor", 1_000);
    let used_by_pool = |line: &mut TrustLineEntry| {
        line.ext = TrustLineEntryExt::V1(TrustLineEntryV1 {
            liabilities: Liabilities { buying: 0, selling: 0 },
            ext: TrustLineEntryV1Ext::V2(TrustLineEntryExtensionV2 {
                liquidity_pool_use_count: 1,
                ext: TrustLineEntryExtensionV2Ext::V0,
            }),
        });
    };
    let pool = OperationBody::ChangeTrust(ChangeTrustOp {
        line: ChangeTrustAsset::PoolShare(LiquidityPoolParameters::LiquidityPoolConstantProduct(
            LiquidityPoolConstantProductParameters {
                asset_a: Asset::Native,
                asset_b: asset("EUR:anchor"),
                fee: 30,
            },
        )),
        limit: 1,
    });
    const OPENED: &str = "alice: balance -100, sequence +1, subentries +1";
    vec![
        trusting(
            "trustline_opened",
            anchored(),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 1", PAID],
        ),
        trusting(
            "trustline_of_a_careful_issuer_starts_unauthorized",
            anchored().flags("anchor", REQUIRED),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 0", PAID],
        ),
        trusting(
            "trustline_of_an_issuer_without_authorisation_refused_where_assets_need_it",
            anchored().authorised_assets_only(),
            900,
            Applied("failed OpNotSupported"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "trustline_of_an_issuer_with_authorisation_opens_where_assets_need_it",
            anchored().flags("anchor", REQUIRED).authorised_assets_only(),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 0", PAID],
        ),
        trusting(
            "trustline_limit_changed_after_its_issuer_gave_authorisation_up",
            euros().authorised_assets_only(),
            50,
            Applied("success ChangeTrust(Success)"),
            &[ALICE_PAID, "alice/EUR: limit -999950", PAID],
        ),
        trusting(
            "trustline_inherits_clawback",
            anchored().flags("anchor", REVOCABLE | CLAWBACK),
            900,
            Applied("success ChangeTrust(Success)"),
            &[OPENED, "alice/EUR: new line 0 limit 900 flags 5", PAID],
        ),
        trusting(
            "trustline_limit_changed",
            euros(),
            50,
            Applied("success ChangeTrust(Success)"),
            &[ALICE_PAID, "alice/EUR: limit -999950", PAID],
        ),
        trusting(
            "trustline_closed",
            anchored().line("alice", "EUR:anchor", 0),
            0,
            Applied("success ChangeTrust(Success)"),
            &["alice: balance -100, sequence +1, subentries -1", "alice/EUR: gone", PAID],
        ),
        trusting(
            "trustline_to_a_vanished_issuer_closed",
            two().line("alice", "EUR:anchor", 0),
            0,
            Applied("success ChangeTrust(Success)"),
            &["alice: balance -100, sequence +1, subentries -1", "alice/EUR: gone", PAID],
        ),
        trusting(
            "change_trust_negative_limit",
            anchored(),
            -1,
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_the_coin",
            anchored(),
            tx("alice").op(trust("native", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_one_s_own_asset",
            anchored(),
            tx("anchor").op(trust("EUR:anchor", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_a_bad_code",
            anchored(),
            tx("alice").op(trust("E-R:anchor", 1)),
            Refused("failed ChangeTrust(Malformed)"),
            &[],
        ),
        row(
            "change_trust_of_pool_shares_without_a_line_of_an_asset",
            anchored(),
            tx("alice").op(pool),
            Applied("failed ChangeTrust(TrustLineMissing)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_no_issuer",
            two(),
            9,
            Applied("failed ChangeTrust(NoIssuer)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_limit_of_a_vanished_issuer",
            two().line("alice", "EUR:anchor", 1),
            9,
            Applied("failed ChangeTrust(NoIssuer)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_limit_below_balance",
            euros(),
            49,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_close_with_balance",
            euros(),
            0,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_close_what_is_not_open",
            anchored(),
            0,
            Applied("failed ChangeTrust(InvalidLimit)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_low_reserve",
            World::new().account("alice", 129).account("anchor", 100),
            9,
            Applied("failed ChangeTrust(LowReserve)"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_too_many_subentries",
            World::new()
                .account("alice", 100_000)
                .with("alice", |alice| alice.num_sub_entries = 1_000)
                .account("anchor", 100),
            9,
            Applied("failed OpTooManySubentries"),
            &[ALICE_PAID, PAID],
        ),
        trusting(
            "change_trust_cannot_delete",
            anchored().line_with("alice", "EUR:anchor", 0, used_by_pool),
            0,
            Applied("failed ChangeTrust(CannotDelete)"),
            &[ALICE_PAID, PAID],
        ),
    ]
}

fn allow_trust() -> Vec<Case> {
    let allowing = |name, issuer_flags, line_flags, authorize, expect, changes| {
        let given = two().account("anchor", 1_000).flags("anchor", issuer_flags).line_with(
            "alice",
            "EUR:anchor",
            5,
            |line| line.flags = line_flags,
        );
        row(name, given, tx("anchor").op(allow("alice", *b"EUR\0", authorize)), expect, changes)
    };
    vec![
        allowing(
            "allow_trust_authorizes",
            REQUIRED,
            0,
            1,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags +1", PAID],
        ),
        allowing(
            "allow_trust_revokes",
            REVOCABLE,
            1,
            0,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        allowing(
            "allow_trust_keeps_clawback",
            REVOCABLE,
            5,
            2,
            Applied("success AllowTrust(Success)"),
            &[ANCHOR_PAID, "alice/EUR: flags +1", PAID],
        ),
        allowing(
            "allow_trust_cant_revoke",
            REQUIRED,
            1,
            0,
            Applied("failed AllowTrust(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        allowing(
            "allow_trust_cant_reduce",
            REQUIRED,
            1,
            2,
            Applied("failed AllowTrust(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        allowing("allow_trust_both_kinds", REVOCABLE, 1, 3, Refused("failed AllowTrust(Malformed)"), &[]),
        row(
            "allow_trust_of_a_bad_code",
            euros(),
            tx("anchor").op(allow("alice", *b"E\0R\0", 1)),
            Refused("failed AllowTrust(Malformed)"),
            &[],
        ),
        row(
            "allow_trust_of_oneself",
            euros(),
            tx("anchor").op(allow("anchor", *b"EUR\0", 1)),
            Refused("failed AllowTrust(Malformed)"),
            &[],
        ),
        row(
            "allow_trust_no_trust_line",
            euros(),
            tx("anchor").op(allow("alice", *b"USD\0", 1)),
            Applied("failed AllowTrust(NoTrustLine)"),
            &[ANCHOR_PAID, PAID],
        ),
    ]
}

fn set_trust_line_flags() -> Vec<Case> {
    let setting = |name, issuer_flags, flags, (set, clear), expect, changes| {
        let given = two().account("anchor", 1_000).flags("anchor", issuer_flags).line_with(
            "alice",
            "EUR:anchor",
            5,
            |line| line.flags = flags,
        );
        row(name, given, tx("anchor").op(line_flags("alice", "EUR:anchor", set, clear)), expect, changes)
    };
    const MALFORMED: Expect = Refused("failed SetTrustLineFlags(Malformed)");
    const SUCCESS: Expect = Applied("success SetTrustLineFlags(Success)");
    let from =
        |name, source, of| row(name, euros(), tx(source).op(line_flags("alice", of, 1, 0)), MALFORMED, &[]);
    vec![
        setting("line_authorized", REQUIRED, 0, (1, 0), SUCCESS, &[ANCHOR_PAID, "alice/EUR: flags +1", PAID]),
        setting(
            "line_deauthorized",
            REVOCABLE,
            1,
            (0, 1),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        setting(
            "line_upgraded_without_revocable",
            REQUIRED,
            2,
            (1, 2),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -1", PAID],
        ),
        setting(
            "line_freed_of_clawback",
            REQUIRED,
            5,
            (0, 4),
            SUCCESS,
            &[ANCHOR_PAID, "alice/EUR: flags -4", PAID],
        ),
        setting(
            "line_flags_cant_revoke",
            REQUIRED,
            1,
            (0, 1),
            Applied("failed SetTrustLineFlags(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting(
            "line_flags_cant_reduce",
            REQUIRED,
            1,
            (2, 1),
            Applied("failed SetTrustLineFlags(CantRevoke)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting(
            "line_flags_invalid_state",
            REVOCABLE,
            1,
            (2, 0),
            Applied("failed SetTrustLineFlags(InvalidState)"),
            &[ANCHOR_PAID, PAID],
        ),
        setting("line_flags_set_and_cleared", REVOCABLE, 1, (1, 1), MALFORMED, &[]),
        setting("line_flags_both_kinds", REVOCABLE, 0, (3, 0), MALFORMED, &[]),
        setting("line_flags_clawback_set", REVOCABLE, 0, (4, 0), MALFORMED, &[]),
        setting("line_flags_unknown", REVOCABLE, 0, (0, 8), MALFORMED, &[]),
        from("line_flags_of_another_s_asset", "bob", "EUR:anchor"),
        from("line_flags_of_the_coin", "anchor", "native"),
        from("line_flags_of_a_bad_code", "anchor", "E-R:anchor"),
        row(
            "line_flags_of_oneself",
            euros(),
            tx("anchor").op(line_flags("anchor", "EUR:anchor", 1, 0)),
            MALFORMED,
            &[],
        ),
        row(
            "line_flags_no_trust_line",
            euros(),
            tx("anchor").op(line_flags("alice", "USD:anchor", 1, 0)),
            Applied("failed SetTrustLineFlags(NoTrustLine)"),
            &[ANCHOR_PAID, PAID],
        ),
    ]
}
