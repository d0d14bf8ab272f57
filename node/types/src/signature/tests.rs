//! The predicate against its known edge cases: small order, non-canonical, single against batch.

use super::*;

/// The fourteen encodings of the eight small-order points (canonical and not).
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn check_both(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let claim = Claim { key, message, signature };
    let single = verify(claim);
    assert_eq!(
        single,
        verify_batch(&[claim], &mut KnownKeys::default()),
        "single and batch disagree on {key} {signature}"
    );
    single
}

#[test]
fn small_order_grid_of_196_is_refused_by_every_path() {
    for key in SMALL_ORDER {
        let key: PublicKey = key.parse().expect("hex");
        assert!(key.is_weak(), "{key}");
        for r in SMALL_ORDER {
            let mut bytes = [0; 64];
            hex::decode_to_slice(r, &mut bytes[..32]).expect("hex");
            assert!(!check_both(&key, b"Zcash", &Signature(bytes)));
        }
    }
}

#[test]
fn small_order_r_under_an_honest_key_is_refused() {
    let secret = SecretKey::from_seed(&[7; 32]);
    for r in SMALL_ORDER {
        let mut bytes = secret.sign(b"x").0;
        hex::decode_to_slice(r, &mut bytes[..32]).expect("hex");
        assert!(!check_both(&secret.public(), b"x", &Signature(bytes)));
    }
}

/// RFC 8032, section 7.1, tests 1 to 3.
#[test]
fn rfc_8032_vectors_sign_and_verify() {
    let vectors = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, message, expected) in vectors {
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).expect("hex");
        let secret = SecretKey::from_seed(&bytes);
        let message = hex::decode(message).expect("hex");
        let signature = secret.sign(&message);
        assert_eq!(signature.to_string(), expected);
        assert!(check_both(&secret.public(), &message, &signature));
    }
}

#[test]
fn every_flipped_bit_is_refused_by_single_and_batch() {
    let secret = SecretKey::from_seed(&[3; 32]);
    let signature = secret.sign(b"message");
    for bit in 0..512 {
        let mut bytes = signature.0;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!check_both(&secret.public(), b"message", &Signature(bytes)), "bit {bit}");
    }
}

#[test]
fn non_canonical_s_is_refused() {
    // s + L, little-endian addition.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let secret = SecretKey::from_seed(&[5; 32]);
    let mut bytes = secret.sign(b"m").0;
    let mut carry = 0u16;
    for (byte, add) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    assert!(!check_both(&secret.public(), b"m", &Signature(bytes)));
}

#[test]
fn batch_with_one_bad_signature_among_many_is_refused() {
    let keys: Vec<SecretKey> = (0..40u8).map(|i| SecretKey::from_seed(&[i; 32])).collect();
    let publics: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
    let mut signatures: Vec<Signature> = keys.iter().map(|key| key.sign(b"batch")).collect();
    let all = |signatures: &[Signature]| {
        let claims: Vec<Claim<'_>> = publics
            .iter()
            .zip(signatures)
            .map(|(key, signature)| Claim { key, message: b"batch", signature })
            .collect();
        verify_batch(&claims, &mut KnownKeys::default())
    };
    assert!(all(&signatures));
    signatures.swap(3, 4);
    assert!(!all(&signatures));
}

#[test]
fn secret_key_is_never_printed() {
    let secret = SecretKey::from_seed(&[9; 32]);
    assert!(!format!("{secret:?}").contains(&hex::encode([9u8; 32])));
}

/// What zebra's batch says of the same claims, which are all of acceptable encodings.
fn zebra(claims: &[Claim<'_>]) -> bool {
    struct Weights(u64);
    impl rand_core::TryRng for Weights {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            rand_core::utils::next_word_via_fill(self)
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            rand_core::utils::next_word_via_fill(self)
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
            for chunk in out.chunks_mut(32) {
                self.0 = self.0.wrapping_add(1);
                chunk.copy_from_slice(&hash::sha256(&[&self.0.to_be_bytes()]).0[..chunk.len()]);
            }
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Weights {}
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for claim in claims {
        let key = ed25519_zebra::VerificationKeyBytes::from(claim.key.0);
        batch.queue((key, ed25519_zebra::Signature::from_bytes(&claim.signature.0), claim.message));
    }
    batch.verify(Weights(0)).is_ok()
}

/// Three of eight keys sign often, so that terms of one key are added; `keys` is used again and again.
#[test]
fn batches_agree_with_zebra_and_with_single_checks_whatever_is_wrong() {
    let secrets: Vec<SecretKey> = (0..8u8).map(|i| SecretKey::from_seed(&[i; 32])).collect();
    let mut keys = KnownKeys::default();
    let mut refused = 0;
    for round in 0..200u8 {
        let messages: Vec<[u8; 2]> = (0..=round % 40).map(|i| [round, i]).collect();
        let mut signed: Vec<(PublicKey, Signature)> = messages
            .iter()
            .enumerate()
            .map(|(i, message)| (&secrets[if i % 2 == 0 { i % 8 } else { i % 3 }], message))
            .map(|(secret, message)| (secret.public(), secret.sign(message)))
            .collect();
        let round = usize::from(round);
        let at = round % messages.len();
        match round % 5 {
            0 => signed[at].1.0[(round * 7) % 64] ^= 1 << (round % 8),
            1 => signed[at].0 = secrets[7].public(),
            2 => signed[at].0.0[(round * 5) % 32] ^= 0x10,
            _ => {}
        }
        let claims: Vec<Claim<'_>> = signed
            .iter()
            .zip(&messages)
            .map(|((key, signature), message)| Claim { key, message, signature })
            .collect();
        let single = claims.iter().all(|claim| verify(*claim));
        assert_eq!(verify_batch(&claims, &mut keys), single, "round {round}");
        assert_eq!(claims.iter().all(acceptable) && zebra(&claims), single, "round {round}");
        refused += usize::from(!single);
    }
    assert!((80..=120).contains(&refused), "{refused} of 200");
}

/// Signatures whose R or key has a part of small order: the cofactored equation takes them, alone and together.
#[test]
fn parts_of_small_order_are_taken_alone_and_in_batches() {
    use curve25519_dalek_5::constants::EIGHT_TORSION;
    use curve25519_dalek_5::edwards::EdwardsPoint;
    use curve25519_dalek_5::scalar::Scalar;
    use sha2::{Digest as _, Sha512};

    let (a, r) = (Scalar::from(77u64), Scalar::from(78u64));
    let honest = SecretKey::from_seed(&[4; 32]);
    let (honest_key, honest_signature) = (honest.public(), honest.sign(b"m"));
    for torsion in EIGHT_TORSION {
        for (of_key, of_r) in [(torsion, EIGHT_TORSION[0]), (EIGHT_TORSION[0], torsion), (torsion, torsion)] {
            let key = PublicKey((EdwardsPoint::mul_base(&a) + of_key).compress().0);
            let big_r = (EdwardsPoint::mul_base(&r) + of_r).compress().0;
            let k = Sha512::new().chain_update(big_r).chain_update(key.0).chain_update(b"m").finalize();
            let s = r + Scalar::from_bytes_mod_order_wide(&k.into()) * a;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&big_r);
            signature[32..].copy_from_slice(s.as_bytes());
            let signature = Signature(signature);
            assert!(check_both(&key, b"m", &signature));
            let claims = [
                Claim { key: &key, message: b"m", signature: &signature },
                Claim { key: &honest_key, message: b"m", signature: &honest_signature },
            ];
            assert!(verify_batch(&claims, &mut KnownKeys::default()) && zebra(&claims));
        }
    }
}

/// Two wrong signatures whose errors cancel each other without weights.
#[test]
fn errors_that_cancel_each_other_are_refused() {
    use curve25519_dalek_5::scalar::Scalar;

    let secret = SecretKey::from_seed(&[6; 32]);
    let key = secret.public();
    let shifted = |message: &[u8], by: Scalar| {
        let mut signature = secret.sign(message).0;
        let s = Scalar::from_bytes_mod_order(signature[32..].try_into().expect("32")) + by;
        signature[32..].copy_from_slice(s.as_bytes());
        Signature(signature)
    };
    let (one, other) = (shifted(b"a", Scalar::ONE), shifted(b"b", -Scalar::ONE));
    let claims = [
        Claim { key: &key, message: b"a", signature: &one },
        Claim { key: &key, message: b"b", signature: &other },
    ];
    assert!(!verify_batch(&claims, &mut KnownKeys::default()));
}

#[test]
fn known_keys_are_bounded() {
    let mut keys = KnownKeys::default();
    // Ordinates of points are every other number.
    for number in 0..200_000u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        keys.point(&PublicKey(bytes));
    }
    assert!(keys.len() > 32_768 && keys.len() <= 65_536, "{}", keys.len());
}
