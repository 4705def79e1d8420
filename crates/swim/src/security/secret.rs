//! Numbers that only the local node can make, and make again: nothing has to be remembered of those that
//! it has given away.

use hkdf::Hkdf;
use rand::Rng;
use rand::rngs::StdRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret, drawn at random.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Draws one.
    pub fn draw(rng: &mut StdRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut secret[..]);
        Self(secret)
    }

    /// A number for this. Without the secret it cannot be told from any other number.
    pub fn code(&self, what: &[&[u8]]) -> u64 {
        let prk = Hkdf::<Sha256>::from_prk(&*self.0).expect("the secret is as long as a hash");
        let mut code = [0; 8];
        prk.expand_multi_info(what, &mut code)
            .expect("HKDF yields as much as 255 hashes");
        u64::from_be_bytes(code)
    }
}
