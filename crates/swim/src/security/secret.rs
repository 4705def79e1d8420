//! Numbers that only the local node can make, and make again: nothing has to be remembered of those that
//! it has given away.

use hkdf::Hkdf;
use rand::Rng;
use rand::rngs::StdRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret, drawn at random.
// Kept as what HKDF makes of it first: to begin with the bytes would double the work of each number.
pub struct Secret(Hkdf<Sha256>);

impl Secret {
    /// Draws one.
    pub fn draw(rng: &mut StdRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut secret[..]);
        let prk = Hkdf::from_prk(&*secret);
        Self(prk.expect("the secret is as long as a hash"))
    }

    /// A number for this. Without the secret it cannot be told from any other number.
    pub fn code(&self, what: &[&[u8]]) -> u64 {
        let mut code = [0; 8];
        self.0
            .expand_multi_info(what, &mut code)
            .expect("HKDF yields as much as 255 hashes");
        u64::from_be_bytes(code)
    }
}
