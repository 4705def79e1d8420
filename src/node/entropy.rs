//! What nobody can guess: datagrams are sealed with numbers that must never be drawn twice.

use std::io;

use super::failure::Failure;
use crate::swim::Seed;

/// A seed from the system.
pub fn seed() -> Result<Seed, Failure> {
    let mut seed = Seed([0; 32]);
    match getrandom::fill(&mut seed.0) {
        Ok(()) => Ok(seed),
        Err(error) => {
            let error = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
            Err(Failure::system("cannot draw random numbers", &error))
        }
    }
}
